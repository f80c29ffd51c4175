"""A failover of Redis on purpose: the master's pod is deleted, and the rest is watched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conformance.disruption import delete_pod
from conformance.evidence import Question
from conformance.pods import Pod
from conformance.redis import PREFIX, VALUE
from conformance.redis_transcript import REPLICATION, Node, Session, node_of, question
from conformance.verdict import UndecidedError
from conformance.waiting import LIMITS, wait_until

if TYPE_CHECKING:
    from datetime import datetime

    from conformance.evidence import Answer, Lens
    from conformance.platform import Redis

KEY = f"{PREFIX}:RED-009"
_LATER = 10_000  # attempts of a drill are told apart from those of looks before it
_FSYNC = 2.0  # seconds after which a write must be on the disk


@dataclass(frozen=True)
class Promotion:
    """A node that became master. `seconds` after the deletion of the one before."""

    node: Node
    seconds: float


@dataclass(frozen=True)
class Drill:
    """Steps of a failover, each a look or a wait for one."""

    lens: Lens
    redis: Redis

    def prepare(self, master: Node, replicas: int) -> Session:
        """Write a key that must survive and wait for replicas; the replies are of SET and WAIT."""
        commands = (
            ("SET", KEY, VALUE, "EX", str(int(2 * LIMITS.drill))),
            ("WAIT", str(replicas), "2000"),
        )
        written = Session.of(self._say(master.pod, commands))
        self.lens.pause(_FSYNC)
        return written

    def depose(self, master: Node) -> datetime:
        """Delete the master's pod; return when."""
        answer = delete_pod(self.lens, master.pod.item)
        _ = answer.value
        return answer.time

    def promotion(self, others: list[Node], since: datetime) -> Promotion | None:
        """Return the first of the others that says it is master, None where none does in time."""
        asked = [
            replace(question(self.redis, one.pod, REPLICATION), attempt=_LATER) for one in others
        ]
        while True:
            for one, answer in zip(others, self.lens.look_all(asked), strict=True):
                seconds = (answer.time - since).total_seconds()
                if answer.error is None:
                    node = node_of(one.pod, REPLICATION, Session.of(answer))
                    if node.is_master:
                        return Promotion(node, seconds)
            if seconds < 0 or seconds > LIMITS.failover:  # the first: a replay that ends here
                return None
            self.lens.pause(1.0)
            asked = [replace(one, attempt=one.attempt + 1) for one in asked]

    def returned(self, gone: Pod) -> Pod:
        """Return the pod that took the deleted one's place, once it is ready.

        Raises:
            UndecidedError: where it is not within the time of a drill.
        """
        names = {"kind": "pods", "name": gone.name, "namespace": gone.namespace}
        uid = gone.item["metadata"]["uid"]

        def is_back(answer: Answer) -> bool:
            if answer.error is not None:
                return False
            new: bool = answer.value["metadata"]["uid"] != uid
            return new and Pod(answer.value).ready

        ask = Question("kubernetes.get", gone.ref, names, attempt=_LATER)
        answer = wait_until(self.lens, ask, is_back, limit=LIMITS.drill)
        if not is_back(answer):
            raise UndecidedError(f"{gone.ref} did not come back within {LIMITS.drill:g} s")
        return Pod(answer.value)

    def kept(self, pod: Pod) -> bool:
        """Say whether a pod has the key, once it does or replication had its time."""

        def has(answer: Answer) -> bool:
            return answer.error is None and bool(answer.value["replies"] == [{"value": VALUE}])

        ask = replace(question(self.redis, pod, (("GET", KEY),)), attempt=_LATER)
        answer = wait_until(self.lens, ask, has, limit=LIMITS.replication)
        return bool(Session.of(answer).value(0) == VALUE)

    def tidy(self, master: Node) -> None:
        """Remove the key from the master."""
        self._say(master.pod, (("DEL", KEY),))

    def _say(self, pod: Pod, commands: tuple[tuple[str, ...], ...]) -> Answer:
        return self.lens.look(question(self.redis, pod, commands, danger="disruptive"))
