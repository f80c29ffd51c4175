"""Redis as its own servers describe it: roles, settings and canaries."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conformance.evidence import Question
from conformance.redis_transcript import (
    REPLICATION,
    STATUS,
    Commands,
    Node,
    Reply,
    Session,
    info_of,
    node_of,
    passwordless_users,
    question,
    topology,
)
from conformance.verdict import UndecidedError, Verdict
from conformance.waiting import LIMITS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.evidence import Answer, Lens
    from conformance.platform import Platform, Redis, Service
    from conformance.pods import Pod
    from conformance.workloads import Workloads

__all__ = ["Node", "RedisNodes", "Reply", "Session", "passwordless_users", "topology"]

PREFIX = "aik-conformance:{run}"
VALUE = "aik-conformance"
_PAUSE = 5.0  # seconds between looks at roles that may be changing
_SAMPLE = 2000  # attempts of samples are told apart from those of waiting
_ANEW = 30_000  # attempts after drills of the same run
_SYNC = 600  # seconds that a full synchronisation may take before a link counts as down
_PATIENCE = 10  # seconds without a word from the master; it pings every ten if not told otherwise
_REFUSALS = frozenset({"NOREPLICAS", "OOM", "MISCONF"})  # by which a master says it cannot write


@dataclass(frozen=True)
class Sample:
    """A replica in several looks a second apart. `gaps` are bytes behind the master."""

    looks: tuple[Node, ...]
    gaps: tuple[int, ...]
    patience: int

    @property
    def replica(self) -> Node:
        """Return the replica as it was last seen."""
        return self.looks[-1]

    @property
    def linked(self) -> bool:
        """Say whether its link was up in every look."""
        return all(one.linked for one in self.looks)

    @property
    def links(self) -> str:
        """Return the states of its link, look by look."""
        return ", ".join(one.info.get("master_link_status", "none") for one in self.looks)

    @property
    def synchronising(self) -> bool:
        """Say whether it is being filled for the first time, within the time that this may take."""
        down = int(self.replica.info.get("master_link_down_since_seconds", 0))
        return self.replica.info.get("master_sync_in_progress") == "1" and down < _SYNC

    @property
    def silence(self) -> int:
        """Return the least seconds since it heard of its master, over the looks."""
        return min(one.number("master_last_io_seconds_ago") for one in self.looks)

    def catching_up(self, bound: int) -> bool:
        """Say whether it is too far behind, but less so than it was."""
        return self.gaps[-1] > bound and self.gaps[-1] < self.gaps[0]


@dataclass(frozen=True)
class RedisNodes:
    """Asks the servers of the declared Redis, each at its own pod."""

    lens: Lens
    workloads: Workloads
    platform: Platform

    def pods(self, redis: Redis) -> tuple[Pod, ...]:
        """Return the workload's pods that are there to stay.

        Raises:
            UndecidedError: where there is no such workload.
        """
        return self.workloads.of(self.platform.workload(redis.workload)).staying

    def nodes(
        self, redis: Redis, verdict: Verdict, commands: Commands = STATUS, attempt: int = 0
    ) -> list[Node]:
        """Return the nodes that answer; each other one is an undecided subject of `verdict`.

        Raises:
            UndecidedError: where there are no pods at all.
        """
        found = []
        for pod, answer in self._looks(redis, commands, attempt):
            with verdict.about(pod.ref, "says how it is"):
                found.append(node_of(pod, commands, Session.of(answer)))
        return found

    def settled(self, redis: Redis) -> int:
        """Wait while roles are changing; return the attempt at which they stood, or the last."""
        attempt, first = 0, self._looks(redis, REPLICATION, 0)
        seen = first
        while not _stands(seen) and _taken(seen) - _taken(first) < LIMITS.failover:
            self.lens.pause(_PAUSE)
            later = self._looks(redis, REPLICATION, attempt + 1)
            if _taken(later) <= _taken(first):  # a replay that has no further look
                break
            attempt, seen = attempt + 1, later
        return attempt

    def size(self, redis: Redis) -> int:
        """Return how many nodes there must be: those declared, or those there are, but two."""
        declared = self.platform.workload(redis.workload).replicas
        return declared or max(2, len(self.pods(redis)))

    def master(self, redis: Redis, nodes: list[Node]) -> Node:
        """Return the one master among nodes; raise UndecidedError where there is not just one."""
        masters = [one for one in nodes if one.is_master]
        if len(masters) != 1:
            raise UndecidedError(f"{redis.ref} has no single master (RED-001): {topology(nodes)}")
        return masters[0]

    def settled_nodes(self, redis: Redis, verdict: Verdict) -> list[Node]:
        """Return the nodes with their replication, once roles stand."""
        return self.nodes(redis, verdict, REPLICATION, self.settled(redis))

    def followers(self, redis: Redis, verdict: Verdict) -> set[str]:
        """Return the pods that follow a master now, whatever was seen of them before."""
        anew = replace(self, workloads=self.workloads.anew)
        nodes = anew.nodes(redis, verdict, REPLICATION, _ANEW)
        return {one.ref for one in nodes if not one.is_master and one.linked}

    def session(
        self,
        redis: Redis,
        pod: Pod,
        *commands: tuple[str, ...],
        auth: str = "right",
        danger: str = "read-only",
    ) -> Answer:
        """Have one conversation with a pod."""
        return self.lens.look(question(redis, pod, commands, auth, danger))

    def samples(self, redis: Redis, verdict: Verdict) -> list[Sample]:
        """Return each replica in three looks; those that do not answer are undecided subjects."""
        self.settled(redis)
        looks = []
        for attempt in range(_SAMPLE, _SAMPLE + 3):
            if attempt > _SAMPLE:
                self.lens.pause(1.0)
            looks.append(self.nodes(redis, verdict, REPLICATION, attempt))
        masters = [self.master(redis, nodes) for nodes in looks]
        return [
            _sample(replica.ref, looks, masters)
            for replica in looks[-1]
            if all(
                any(one.ref == replica.ref and not one.is_master for one in nodes)
                for nodes in looks
            )
        ]

    def writes(self, redis: Redis, node: Node) -> Reply:
        """Return what a node says to a write that changes nothing, for lack of the key."""
        words = ("SET", f"{PREFIX}:absent", VALUE, "XX", "EX", "60")
        session = Session.of(self.session(redis, node.pod, words))
        return session.replies[0]

    def logins(self, redis: Redis, pod: Pod) -> tuple[Session, Session, Session]:
        """Return what comes of no password (GET), of a wrong one, and of the right one (PING)."""
        commands = (("GET", f"{PREFIX}:absent"), ("GET", f"{PREFIX}:absent"), ("PING",))
        ways = zip(commands, ("none", "wrong", "right"), strict=True)
        asked = [question(redis, pod, (words,), auth) for words, auth in ways]
        stranger, liar, friend = (Session.of(one) for one in self.lens.look_all(asked))
        return stranger, liar, friend

    def roles_behind(self, redis: Redis, service: Service, times: int) -> list[str]:
        """Return the role that each of several connections through a Service finds.

        Raises:
            UndecidedError: where not all of them get an answer.
        """
        arguments = {
            "times": times,
            "server": {"service": service.ref, "port": service.ports[0].port},
            "credential": redis.credential,
            "commands": [list(words) for words in REPLICATION],
        }
        answer = self.lens.look(Question("redis.sessions", service.ref, arguments))
        told = (Session.read(one, answer.path).value(0) for one in answer.value)
        return [info_of(one).get("role", "unknown") for one in told]

    @contextmanager
    def canary(self, redis: Redis, master: Node, label: str, replicas: int) -> Iterator[Session]:
        """Write a key that expires within a minute and wait for replicas; remove it in the end.

        The replies are those to SET and to WAIT.
        """
        key, danger = f"{PREFIX}:{label}", "canary"
        write = ("SET", key, VALUE, "EX", "60")
        try:
            wait = ("WAIT", str(replicas), "2000")
            yield Session.of(self.session(redis, master.pod, write, wait, danger=danger))
        finally:
            self.session(redis, master.pod, ("DEL", key), danger=danger)

    def takes(self, canary: Session, master: Node, verdict: Verdict) -> bool:
        """Say whether the master took a canary; where it says that it cannot, that is a violation.

        Raises:
            UndecidedError: where it refuses for another reason, such as a missing right.
        """
        refusal = canary.replies[0]
        if refusal.error and refusal.code not in _REFUSALS:
            canary.value(0)
        return verdict.expect(
            not refusal.error,
            subject=master.ref,
            claim="takes a write",
            observed=str(refusal),
            advice="bring back what it lacks: replicas, memory, or room on the disk",
        )

    def canary_shows(self, redis: Redis, node: Node, label: str, *, present: bool) -> str | None:
        """Return what a node has of a canary, once it is as wanted or replication had its time."""
        ask = question(redis, node.pod, (("GET", f"{PREFIX}:{label}"),))
        ask = ask if present else replace(ask, attempt=1000)  # told apart from looks before
        wanted = [{"value": VALUE if present else None}]

        def shows(answer: Answer) -> bool:
            return answer.error is None and answer.value["replies"] == wanted

        answer = wait_until(self.lens, ask, shows, limit=LIMITS.replication)
        value: str | None = Session.of(answer).value(0)
        return value

    def _looks(self, redis: Redis, commands: Commands, attempt: int) -> list[tuple[Pod, Answer]]:
        pods = self.pods(redis)
        if not pods:
            raise UndecidedError(f"{redis.workload} has no pods to be asked")
        questions = [question(redis, pod, commands, attempt=attempt) for pod in pods]
        return list(zip(pods, self.lens.look_all(questions), strict=True))


def _sample(name: str, looks: list[list[Node]], masters: list[Node]) -> Sample:
    mine = tuple(one for nodes in looks for one in nodes if one.ref == name)
    pairs = zip(mine, masters, strict=True)
    offsets = [
        (m.number("master_repl_offset"), one.number("slave_repl_offset")) for one, m in pairs
    ]
    return Sample(mine, tuple(max(0, theirs - own) for theirs, own in offsets), _PATIENCE)


def _stands(seen: list[tuple[Pod, Answer]]) -> bool:
    """Say whether one master has all others linked to it, or nobody can tell."""
    try:
        nodes = [node_of(pod, REPLICATION, Session.of(answer)) for pod, answer in seen]
    except UndecidedError:
        return True  # to wait would not help
    masters = [one for one in nodes if one.is_master]
    return len(masters) == 1 and all(
        one.linked and one.info.get("master_replid") == masters[0].info.get("master_replid")
        for one in nodes
        if one is not masters[0]
    )


def _taken(seen: list[tuple[Pod, Answer]]) -> float:
    return min(answer.time.timestamp() for _, answer in seen)
