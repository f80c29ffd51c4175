"""Who would replace a Redis master: sentinels, each as it sees the master, or an operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.evidence import Question
from conformance.pods import controller_of
from conformance.redis_transcript import Reply, Session, address

if TYPE_CHECKING:
    from conformance.evidence import Answer, Lens
    from conformance.platform import Platform, Redis
    from conformance.pods import Pod
    from conformance.redis_transcript import Node
    from conformance.verdict import Verdict
    from conformance.workloads import Workloads

_BUILT_IN = ("apps/", "batch/", "v1")
_CLOSED = "unreachable"  # the kind of a look that finds nothing listening


@dataclass(frozen=True)
class Watch:
    """How one sentinel sees the master that it watches. `quorum` is its answer to CKQUORUM."""

    pod: Pod
    fields: dict[str, str]
    quorum: Reply

    @property
    def troubles(self) -> set[str]:
        """Return what it says of the master beside that it is one (s_down, disconnected, ...)."""
        return set(self.fields.get("flags", "unknown").split(",")) - {"master"}

    @property
    def replicas(self) -> int:
        """Return how many replicas it knows that could take over."""
        return int(self.fields.get("num-slaves", "0"))

    @property
    def can_replace(self) -> bool:
        """Say whether enough sentinels are there to agree, and to choose who acts."""
        return str(self.quorum.value).startswith("OK")


@dataclass(frozen=True)
class Sentinels:
    """Asks the sentinels in the namespace of a Redis."""

    lens: Lens
    workloads: Workloads
    platform: Platform

    def watching(self, redis: Redis, master: Node, verdict: Verdict) -> list[Watch]:
        """Return the sentinels that watch this very master, known by its run id.

        A sentinel that does not answer is an undecided subject of `verdict`, unless
        nothing says that the pod has one.
        """
        pods, declared = self._candidates(redis)
        words = ("SENTINEL", "MASTERS")
        asked = [self._question(redis, pod, words) for pod in pods]
        found = []
        for pod, answer in zip(pods, self.lens.look_all(asked), strict=True):
            if answer.kind == _CLOSED and not declared:
                continue
            with verdict.about(pod.ref, "says which master it watches"):
                found += self._watches(redis, pod, answer, master)
        return found

    def operator(self, redis: Redis) -> str:
        """Return which operator's object owns the workload, empty where none for Redis does."""
        owner = controller_of(self.workloads.of(self.platform.workload(redis.workload)).item)
        kind, version = str(owner.get("kind") or ""), str(owner.get("apiVersion") or "v1")
        known = any(word in f"{kind} {version}".lower() for word in ("redis", "valkey"))
        return f"{kind} {owner.get('name')}" if known and not version.startswith(_BUILT_IN) else ""

    def _candidates(self, redis: Redis) -> tuple[list[Pod], bool]:
        """Return the pods that may have a sentinel, and whether they say that they do."""
        controller = self.workloads.of(self.platform.workload(redis.workload))
        near = [
            one
            for one in self.workloads.pods
            if one.namespace == controller.namespace and not one.over and not one.deleting
        ]
        declared = [one for one in near if redis.sentinel_port in _ports(one)]
        hinted = [one for one in near if "sentinel" in one.name]
        return (declared, True) if declared else ([*controller.staying, *hinted], False)

    def _watches(self, redis: Redis, pod: Pod, answer: Answer, master: Node) -> list[Watch]:
        found = []
        for flat in Session.of(answer).value(0):
            fields = dict(zip(flat[::2], flat[1::2], strict=True))
            if fields.get("runid") == master.info.get("run_id"):
                words = ("SENTINEL", "CKQUORUM", fields["name"])
                session = Session.of(self.lens.look(self._question(redis, pod, words)))
                found.append(Watch(pod, fields, session.replies[0]))
        return found

    def _question(self, redis: Redis, pod: Pod, words: tuple[str, ...]) -> Question:
        arguments = {
            "server": {"pod": address(pod), "port": redis.sentinel_port},
            "credential": redis.sentinel or redis.credential,
            "commands": [list(words)],
        }
        return Question("redis.session", f"{pod.ref} {' '.join(words)}", arguments)


def _ports(pod: Pod) -> set[int]:
    return {port["containerPort"] for one in pod.containers for port in one.spec.get("ports") or ()}
