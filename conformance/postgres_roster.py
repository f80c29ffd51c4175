"""The servers of one PostgreSQL cluster, each with the role that it says it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.postgres_session import Row, Session, Target, session_of
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from conformance.cluster import Object
    from conformance.evidence import Answer


@dataclass(frozen=True)
class Member:
    """One server of the cluster, or the reason why it does not answer."""

    target: Target
    item: Object
    session: Session | None
    reason: str = ""

    @property
    def ref(self) -> str:
        """Return `namespace/name` of the pod."""
        return self.target.ref

    @property
    def facts(self) -> Row:
        """Return system identifier, timeline and the setting `hot_standby`."""
        return self.session.results[0].table[0] if self.session else [None, None, None]

    @property
    def identity(self) -> int | None:
        """Return when the server started, which tells it from any other; None where silent."""
        return self.session.started if self.session else None

    @property
    def ready(self) -> bool:
        """Say whether the pod is Ready, so that Services may send clients to it."""
        status = self.item.get("status") or {}
        return any(
            one["type"] == "Ready" and one["status"] == "True"
            for one in status.get("conditions") or ()
        )

    @property
    def proxied(self) -> bool:
        """Say whether a sidecar of a mesh stands before the server."""
        spec = self.item["spec"]
        containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
        return any(one["name"].endswith("-proxy") for one in containers)

    @property
    def role(self) -> str:
        """Return `primary`, `replica` or `silent`."""
        if self.session is None:
            return "silent"
        return "replica" if self.session.in_recovery else "primary"


@dataclass(frozen=True)
class Roster:
    """The servers of one PostgreSQL cluster at one time."""

    members: tuple[Member, ...]

    def of(self, role: str) -> tuple[Member, ...]:
        """Return the members in a role."""
        return tuple(one for one in self.members if one.role == role)

    @property
    def replicas(self) -> tuple[Member, ...]:
        """Return the replicas; raise `UndecidedError` where there is none."""
        if found := self.of("replica"):
            return found
        raise UndecidedError(f"no replica answers ({self.told}); blocked by PG-002")

    @property
    def primary(self) -> Member:
        """Return the one primary; raise `UndecidedError` where it is not one."""
        found = self.of("primary")
        if len(found) == 1:
            return found[0]
        raise UndecidedError(f"{len(found)} primaries answer ({self.told}); blocked by PG-002")

    @property
    def told(self) -> str:
        """Return who is what, in words."""
        return (
            ", ".join(
                f"{one.ref} is {one.role}" + (f" ({one.reason})" if one.reason else "")
                for one in self.members
            )
            or "no pods"
        )

    @property
    def settled(self) -> bool:
        """Say whether every member answers and exactly one of them is the primary."""
        return not self.of("silent") and len(self.of("primary")) == 1


def member_of(item: Object, answer: Answer) -> Member:
    """Return the member that a pod is; silent where no session came about."""
    target = Target.pod(item)
    try:
        return Member(target, item, session_of(target, answer).open)
    except UndecidedError as undecided:
        return Member(target, item, None, undecided.reason)
