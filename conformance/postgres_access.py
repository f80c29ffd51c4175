"""Who arrives where through a Service, and who is let in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.evidence import Question
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from conformance.postgres import Servers
    from conformance.postgres_roster import Member, Roster
    from conformance.postgres_session import Session

_TIMES, _TIMES_EACH = 20, 10  # in all at least, and for every server of the cluster
_REFUSALS = {"28P01", "28000"}  # wrong password; no rule lets this client in
_ASKED = "a password is asked for"


@dataclass(frozen=True)
class Arrivals:
    """The servers that fresh connections through one Service came to."""

    servers: tuple[dict[str, Any], ...]
    roster: Roster

    @property
    def times(self) -> int:
        """Return how many connections there were."""
        return len(self.servers)

    def strangers(self, role: str) -> tuple[dict[str, Any], ...]:
        """Return those that are in another role, or none of the cluster's servers.

        A server that started since the roster was taken is known by its address.
        """
        started = {one.identity for one in self.roster.members}
        known = {one.target.way.get("pod", {}).get("ip") for one in self.roster.members}
        return tuple(
            one
            for one in self.servers
            if one["in_recovery"] is not (role == "replica")
            or (one["started"] not in started and one["address"] not in known)
        )

    def reached(self, member: Member) -> bool:
        """Say whether a connection came to this server."""
        return any(one["started"] == member.identity for one in self.servers)

    @property
    def told(self) -> str:
        """Return who was reached how often, in words."""
        names = {one.identity: one.ref for one in self.roster.members}
        counts = Counter(
            (
                names.get(one["started"], f"an unknown server at {one['address']}"),
                "replica" if one["in_recovery"] else "primary",
            )
            for one in self.servers
        )
        return ", ".join(f"{n} x {name} ({role})" for (name, role), n in sorted(counts.items()))


def arrivals(servers: Servers, service: str) -> Arrivals:
    """Connect to a Service again and again.

    Raises:
        UndecidedError: where one of the connections did not come about.
    """
    roster = servers.roster()
    target = servers.service(service)
    times = max(_TIMES, _TIMES_EACH * len(roster.members))
    arguments = {
        **servers.way(servers.declared.application),
        "target": target.way,
        "times": times,
    }
    seen = servers.lens.look(Question("postgres.connections", target.ref, arguments)).value["seen"]
    failures = [
        str((one.get("refused") or one.get("error"))["message"])
        for one in seen
        if "server" not in one
    ]
    if failures or not seen:
        raise UndecidedError(f"{len(failures)} of {times} connections failed: {failures[:1]}")
    return Arrivals(tuple(one["server"] for one in seen), roster)


def turned_away(session: Session) -> bool | None:
    """Say whether the server itself refused a login for want of proof; None: for another reason."""
    if session.refused is None:
        return False
    said = session.refused
    by_word = said["sqlstate"] is None and (
        said["message"] == _ASKED or "password authentication failed" in str(said["message"])
    )
    return True if by_word or said["sqlstate"] in _REFUSALS else None
