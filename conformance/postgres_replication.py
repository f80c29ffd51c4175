"""What leaves a primary and what arrives at its replicas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.evidence import Question
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.postgres import Servers
    from conformance.postgres_session import Session

SENDERS = """
SELECT application_name, state, extract(epoch FROM clock_timestamp() - backend_start)::int
FROM pg_stat_replication"""
RECEIVER = "SELECT status, sender_host FROM pg_stat_wal_receiver"
SLOTS = """
SELECT slot_name, active, wal_status FROM pg_replication_slots WHERE slot_type = 'physical'"""


@dataclass(frozen=True)
class Sender:
    """A stream that leaves a server. `state` is None where the role may not see it."""

    name: str
    state: str | None
    age: int


def senders_of(session: Session) -> tuple[Sender, ...]:
    """Return the streams that a session's result to `SENDERS` shows."""
    return tuple(Sender(str(row[0]), row[1], row[2] or 0) for row in session.results[0].table)


def lags(servers: Servers, samples: int, bound: float) -> dict[str, Lag]:
    """Measure how long each replica takes to replay messages of the primary's log.

    Raises:
        UndecidedError: where there is no single primary or no replica, where the primary
            took no message, or where a server changed its role meanwhile.
    """
    roster = servers.roster()
    arguments = {
        **servers.way(servers.declared.application),
        "writer": roster.primary.target.way,
        "readers": {one.ref: one.target.way for one in roster.replicas},
        "samples": samples,
        "bound": bound,
    }
    return lags_of(servers.lens.look(Question("postgres.lag", roster.primary.ref, arguments)).value)


@dataclass(frozen=True)
class Lag:
    """How long one replica took, sample by sample, in seconds; None: longer than the bound."""

    paused: bool
    seconds: tuple[float | None, ...]


def lags_of(value: Mapping[str, Any]) -> dict[str, Lag]:
    """Return the lag of each replica by its name.

    Raises:
        UndecidedError: where the primary took no message, or a server changed its role.
    """
    if value["refused"]:
        raise UndecidedError(f"the primary takes no message: {value['refused']['message']}")
    turned = [name for name, one in value["readers"].items() if not one["server"]["in_recovery"]]
    if value["server"]["in_recovery"] or turned:
        raise UndecidedError("the roles changed while the lag was measured")
    return {
        name: Lag(one["paused"], tuple(one["seconds"])) for name, one in value["readers"].items()
    }


def percentile(samples: tuple[float | None, ...], part: float) -> float | None:
    """Return the sample that `part` of all do not exceed; None where that one was too late."""
    ordered = sorted(math.inf if one is None else one for one in samples)
    if not ordered:
        raise UndecidedError("no sample was taken")
    found = ordered[math.ceil(part * len(ordered)) - 1]
    return None if math.isinf(found) else found


@dataclass(frozen=True)
class FollowedCanary:
    """A canary row as one reader saw it; times in seconds, None: not within the bound."""

    ref: str
    in_recovery: bool | None
    seconds: float | None
    gone: float | None
    same: bool
    failure: str

    @property
    def checked(self) -> FollowedCanary:
        """Return itself; raise `UndecidedError` where it did not answer as a replica."""
        if self.failure:
            raise UndecidedError(self.failure)
        if not self.in_recovery:
            raise UndecidedError(f"{self.ref} answered as a primary; blocked by PG-007")
        return self


@dataclass(frozen=True)
class Canary:
    """A row that was written and followed. `detours` says which writers could not be used."""

    writer: str
    written: bool
    refusal: str
    removed: bool
    readers: tuple[FollowedCanary, ...]
    detours: dict[str, str]


def follow(servers: Servers) -> Canary:
    """Write a row through the primary's Service, or its pod, and follow it to all replicas.

    The replicas' own pods read it, and whoever answers for their Service.
    """
    declared, roster = servers.declared, servers.roster()
    through = servers.service(declared.replica_service)
    readers = [*(one.target for one in roster.of("replica")), through]
    detours: dict[str, str] = {}
    for writer in (servers.service(declared.primary_service), roster.primary.target):
        arguments = {
            **servers.way(declared.application),
            "writer": writer.way,
            "readers": {one.ref: one.way for one in readers},
            "schema": declared.canary_schema,
            "limit": declared.lag_bound,
        }
        answer = servers.lens.look(Question("postgres.follow", writer.ref, arguments))
        if answer.error is not None:
            detours[writer.ref] = answer.reason
        elif answer.value["server"]["in_recovery"]:
            detours[writer.ref] = "a replica answered; blocked by PG-007"
        else:
            return canary_of(writer.ref, answer.value, detours)
    raise UndecidedError("; ".join(detours.values()))


def canary_of(writer: str, value: Mapping[str, Any], detours: dict[str, str]) -> Canary:
    """Return what a `postgres.follow` probe saw."""
    steps = [one for one in (value.get("made"), value["wrote"]) if one]
    errors = [one["error"] for one in steps if "error" in one]
    refusal = "".join(f"SQLSTATE {one['sqlstate']}: {one['message']}" for one in errors[:1])
    return Canary(
        writer=writer,
        written=bool(steps) and not errors,
        refusal=refusal or "taken",
        removed=bool(value["removed"]),
        readers=tuple(
            FollowedCanary(
                ref=name,
                in_recovery=(one["server"] or {}).get("in_recovery"),
                seconds=one["seconds"],
                gone=one.get("gone"),
                same=one["value"] in {None, value["value"]},
                failure=(one.get("failure") or {}).get("message", ""),
            )
            for name, one in value["readers"].items()
        ),
        detours=detours,
    )
