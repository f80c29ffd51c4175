"""Whether a product serves, asked of the product itself and compared with its pods' readiness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conformance.evidence import Question
from conformance.pods import Pod
from conformance.postgres_session import Target, session_of
from conformance.redis_transcript import Session, question
from conformance.verdict import UndecidedError
from conformance.waiting import LIMITS, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.evidence import Answer, Lens
    from conformance.platform import Platform, Redis, Workload
    from conformance.postgres import Servers

_PING = (("PING",),)
_LATER = 20_000  # attempts while waiting are told apart from looks before
_REFUSED = frozenset({"WRONGPASS", "NOAUTH"})
_MAY_NOT = frozenset({"NOPERM", "DENIED"})  # says something of the suite's rights or way, only
_LOGIN = ("28",)  # the SQLSTATE class of refused logins
_AWAY = ("57P", "53")  # classes: shutting down, starting up, out of connections or memory


@dataclass(frozen=True)
class Word:
    """What a product says at one pod. `refused`: it does not take the suite's password."""

    serves: bool
    told: str
    refused: bool = False


@dataclass(frozen=True)
class Serving:
    """Asks the products at their pods, by the protocols that the suite speaks."""

    lens: Lens
    platform: Platform
    servers: Servers

    def can_ask(self, workload: Workload) -> bool:
        """Say whether the suite knows how to ask the product of a workload."""
        return self._way(workload) is not None

    def words(self, workload: Workload, pods: Sequence[Pod]) -> list[Word | UndecidedError]:
        """Return what the product says at each pod.

        A refused password is a word of the product where another pod takes it, and
        says something of the suite's own credential where none does.
        """
        answers = self.lens.look_all(self._question(workload, one, 0) for one in pods)
        found = [self._read(workload, pod, one) for pod, one in zip(pods, answers, strict=True)]
        taken = any(isinstance(one, Word) and one.serves for one in found)
        return [
            UndecidedError(f"the product answers {one.told}; give the suite the password in use")
            if isinstance(one, Word) and one.refused and not taken
            else one
            for one in found
        ]

    def later(self, workload: Workload, pod: Pod) -> Word | None:
        """Look again for as long as readiness may lag; return None where it has followed."""
        limit = patience(pod)
        ask = replace(self._question(workload, pod, 0), attempt=_LATER)

        def serves(answer: Answer) -> bool:
            word = self._read(workload, pod, answer)
            return isinstance(word, Word) and word.serves

        answer = wait_until(self.lens, ask, serves, limit=limit, interval=5.0)
        word = self._read(workload, pod, answer)
        if isinstance(word, UndecidedError):
            raise word
        return word if word.serves or self.now(pod, 0).ready else None

    def now(self, pod: Pod, attempt: int) -> Pod:
        """Return the pod as it is now."""
        return Pod(self.lens.look(_pod(pod, attempt)).value)

    def becomes(self, pod: Pod, *, ready: bool, limit: float) -> bool:
        """Say whether a pod's readiness becomes so within a limit in seconds."""

        def is_so(answer: Answer) -> bool:
            return answer.error is None and Pod(answer.value).ready is ready

        ask = _pod(pod, _LATER + 1_000 * ready)
        return is_so(wait_until(self.lens, ask, is_so, limit=limit, interval=2.0))

    def pause(self, redis: Redis, pod: Pod, seconds: int) -> str:
        """Make a Redis answer nobody for some seconds; return its answer. It ends by itself."""
        commands = (("CLIENT", "PAUSE", str(seconds * 1000), "ALL"),)
        answer = self.lens.look(question(redis, pod, commands, danger="disruptive"))
        return str(Session.of(answer).value(0))

    def _way(self, workload: Workload) -> Callable[[Pod], Question] | None:
        redis, postgres = self.platform.redis, self.platform.postgres
        if workload.asks == "redis" and redis and redis.workload == workload.ref:
            return lambda pod: question(redis, pod, _PING)
        if workload.asks == "postgres" and postgres and postgres.workload == workload.ref:
            return lambda pod: self.servers.question(Target.pod(pod.item), ["SELECT 1"])
        return None

    def _question(self, workload: Workload, pod: Pod, attempt: int) -> Question:
        way = self._way(workload)
        if way is None:
            raise UndecidedError(f"the suite does not know how to ask {workload.asks}")
        return replace(way(pod), attempt=attempt)

    def _read(self, workload: Workload, pod: Pod, answer: Answer) -> Word | UndecidedError:
        read = _redis if workload.asks == "redis" else _postgres
        try:
            return read(pod, answer)
        except UndecidedError as undecided:
            return undecided


def patience(pod: Pod) -> float:
    """Return the seconds by which readiness may lag: until its probe has failed often enough."""
    probes = [one.spec["readinessProbe"] for one in pod.containers if "readinessProbe" in one.spec]
    lags = (
        one.get("periodSeconds", 10) * max(3, one.get("failureThreshold", 3))
        + one.get("timeoutSeconds", 1)
        for one in probes
    )
    return min(float(max(lags, default=30)), LIMITS.rollout)


def _pod(pod: Pod, attempt: int) -> Question:
    names = {"kind": "pods", "name": pod.name, "namespace": pod.namespace}
    return Question("kubernetes.get", pod.ref, names, attempt=attempt)


def _redis(_: Pod, answer: Answer) -> Word:
    session = Session.of(answer)
    reply = session.replies[0]
    if reply.code in _MAY_NOT or (reply.error and "unknown command" in reply.error):
        session.value(0)
    refused = reply.code in _REFUSED
    words = reply.error or str(reply.value)
    told = f"{session.auth} to AUTH" if refused and session.auth.error else f"{words} to PING"
    return Word(reply.value == "PONG", told, refused)


def _postgres(pod: Pod, answer: Answer) -> Word:
    session = session_of(Target.pod(pod.item), answer)
    if session.refused is None:
        result = session.results[0]
        return Word(result.error is None, f"{result.told} to SELECT 1")
    state = str(session.refused["sqlstate"])
    if not state.startswith((*_LOGIN, *_AWAY)):
        _ = session.open
    return Word(False, session.identity, state.startswith(_LOGIN))  # noqa: FBT003 - it is refused
