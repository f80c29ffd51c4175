"""What products say of their own memory and of the folder that they keep their data in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.postgres_session import Target, session_of
from conformance.redis_transcript import Session, question
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from conformance.evidence import Lens
    from conformance.platform import Platform, Redis, Workload
    from conformance.pods import Pod
    from conformance.postgres import Servers

_ASKED = (
    "SELECT pg_size_bytes(current_setting('shared_buffers'))::text, "
    "current_setting('data_directory', true)"
)
_SETTINGS = (("CONFIG", "GET", "maxmemory"), ("CONFIG", "GET", "dir"))


@dataclass(frozen=True)
class Own:
    """What a product says. `memory` is bytes, 0 for no maximum; `folder` is where its data are."""

    memory: int
    folder: str
    setting: str


@dataclass(frozen=True)
class Settings:
    """Asks products at their pods, by the protocols that the suite speaks."""

    lens: Lens
    platform: Platform
    servers: Servers

    def can_ask(self, workload: Workload) -> bool:
        """Say whether the suite knows how to ask the product of a workload."""
        return self._redis(workload) is not None or self._is_postgres(workload)

    def of(self, workload: Workload, pod: Pod) -> Own:
        """Return what the product says at a pod.

        Raises:
            UndecidedError: where it does not answer, or not this question.
        """
        redis = self._redis(workload)
        return self._of_postgres(pod) if redis is None else self._of_redis(redis, pod)

    def _of_redis(self, redis: Redis, pod: Pod) -> Own:
        session = Session.of(self.lens.look(question(redis, pod, _SETTINGS)))
        told: dict[str, str] = {}
        for number in range(len(_SETTINGS)):
            value = session.value(number)  # a flat list of names and values
            told |= dict(zip(value[::2], value[1::2], strict=True))
        try:
            return Own(int(told["maxmemory"]), told["dir"], "maxmemory")
        except (KeyError, ValueError):
            reason = f"{pod.ref} does not tell maxmemory and dir in its answers to CONFIG GET"
            raise UndecidedError(reason, (session.path,)) from None

    def _of_postgres(self, pod: Pod) -> Own:
        target = Target.pod(pod.item)
        session = session_of(target, self.lens.look(self.servers.question(target, [_ASKED])))
        memory, folder = session.open.results[0].table[0]
        return Own(int(memory), str(folder or ""), "shared_buffers")

    def _redis(self, workload: Workload) -> Redis | None:
        redis = self.platform.redis
        return redis if redis and redis.workload == workload.ref else None

    def _is_postgres(self, workload: Workload) -> bool:
        postgres = self.platform.postgres
        return postgres is not None and postgres.workload == workload.ref
