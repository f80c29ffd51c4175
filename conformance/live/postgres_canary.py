"""Writes to PostgreSQL that are followed to its replicas, and taken back.

Tables of canaries stand in a schema of their own and are called
`aik_conformance_<seconds since 1970>_<run>`, so that what a killed run left behind
is known by name and age, and the next one removes it.
"""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.evidence import LookError
from conformance.live.postgres import NAME, dialled, identified, linked
from conformance.live.postgres_link import RefusedError
from conformance.live.reach import slug
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.live.postgres import Target
    from conformance.live.postgres_link import Link
    from conformance.live.reach import Reach

_OLD = 3600  # seconds after which a canary belongs to nobody
_PACE = "FROM pg_sleep(0.02)"  # the time between two questions passes on the server
_PAUSE = "SELECT pg_sleep(0.05)"
_NO_TABLE = "42P01"  # not there yet, on a replica
_TOO_LATE = 0.05  # the part of samples that may be late before the 95th percentile is


class _Sight(NamedTuple):
    """After how many seconds something was seen (None: not), the last row, what broke."""

    seconds: float | None
    row: list[Any] | None
    failure: str


def _there(row: list[Any]) -> bool:
    return row[0] is not None


def _absent(row: list[Any]) -> bool:
    return row[0] is None


def _fail(told: dict[str, Any], sight: _Sight) -> None:
    if sight.failure:
        told["failure"] = {"kind": "partial", "message": sight.failure}


def lag(
    reach: Reach,
    writer: Target,
    readers: dict[str, Target],
    port: int,
    login: str,
    database: str,
    samples: int,
    bound: float,
) -> dict[str, Any]:
    """Write to the log of a primary and see how long replicas take to replay it.

    Each sample is a message in the write-ahead log, which leaves nothing behind. Returns
    the server written to, `refused` (its answer, where it took no message), and for each
    replica its server, whether replay is `paused`, and seconds per sample: None where
    `bound` seconds were not enough. Ends early once the 95th percentile is lost.
    """
    reach.demand("canary")
    with ExitStack() as stack:
        link, server = _joined(reach, stack, writer, port, login, database)
        followers = {
            name: _joined(reach, stack, target, port, login, database)
            for name, target in readers.items()
        }
        links = {name: one for name, (one, _) in followers.items()}
        found: dict[str, Any] = {
            name: {"server": said, "paused": False, "seconds": []}
            for name, (_, said) in followers.items()
        }
        told = {"server": server, "refused": None, "readers": found}
        message = f"SELECT pg_logical_emit_message(true, '{NAME}', '{slug(reach.run)}')"
        for _ in range(samples):
            written = link.run(message)
            place = link.run("SELECT pg_current_wal_lsn()::text")
            if error := written.get("error") or place.get("error"):
                return {**told, "refused": error}
            ask = (
                f"SELECT pg_last_wal_replay_lsn() >= '{place['rows'][0][0]}'::pg_lsn, "
                f"CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END {_PACE}"
            )
            times = awaited(links, ask, lambda row: row[0] is True, bound)
            for name, sight in times.items():
                if sight.failure:
                    raise LookError("partial", f"{name}: {sight.failure}")
                found[name]["seconds"].append(sight.seconds)
                found[name]["paused"] = bool(sight.row and sight.row[1])
            late = max(one["seconds"].count(None) for one in found.values())
            if late > math.ceil(samples * _TOO_LATE):
                break
        return told


def follow(
    reach: Reach,
    writer: Target,
    readers: dict[str, Target],
    port: int,
    login: str,
    database: str,
    schema: str,
    limit: float,
) -> dict[str, Any]:
    """Write a row on a primary, read it on every reader, delete it, see it gone.

    Returns `route`, `server` and `wrote` of the writer (`wrote` is an error where the
    canary was refused), `value`, and for each reader: `route`, `server`, `value`,
    `seconds` until it was readable, `gone` seconds until it was not, or `failure`.
    `removed` says whether the table was dropped.
    """
    reach.demand("canary")
    value = str(uuid.uuid4())
    told: dict[str, Any] = {"value": value, "wrote": None, "readers": {}, "removed": None}
    with ExitStack() as stack:
        door = stack.enter_context(dialled(reach, writer, port, LIMITS.canary))
        link = stack.enter_context(linked(reach, door, login, database, limit=LIMITS.canary))
        told |= {"route": door.route, "server": identified(link)}
        followers: dict[str, Link] = {}
        for name, target in readers.items():
            told["readers"][name] = _follower(
                reach, stack, followers, name, (target, port, login, database)
            )
        with table(link, schema, reach.run, "value text", told) as canary:
            told["wrote"] = link.run(f"INSERT INTO {canary} VALUES ('{value}')")  # noqa: S608 - ours
            if "error" in told["wrote"]:
                return told
            ask = f"SELECT (SELECT value FROM {canary}) {_PACE}"  # noqa: S608 - ours
            for name, sight in awaited(followers, ask, _there, limit).items():
                read = sight.row[0] if sight.row else None
                told["readers"][name] |= {"seconds": sight.seconds, "value": read}
                _fail(told["readers"][name], sight)
            link.run(f"DELETE FROM {canary}")  # noqa: S608 - ours
            sound = {
                name: one
                for name, one in followers.items()
                if "failure" not in told["readers"][name]
            }
            for name, sight in awaited(sound, ask, _absent, limit).items():
                told["readers"][name]["gone"] = sight.seconds
                _fail(told["readers"][name], sight)
    return told


def mark(
    reach: Reach,
    target: Target,
    port: int,
    login: str,
    database: str,
    schema: str,
    note: str,
) -> dict[str, Any]:
    """Make and drop a canary table with statements that hold `note` in a comment.

    Returns `server`, `made` (the result of CREATE TABLE) and `removed`.
    """
    reach.demand("canary")
    told: dict[str, Any] = {"removed": None}
    with (
        dialled(reach, target, port, LIMITS.probe) as door,
        linked(reach, door, login, database) as link,
    ):
        told["server"] = identified(link)
        with table(link, schema, reach.run, f"n int /* {note} */", told):
            return told


@contextmanager
def table(link: Link, schema: str, run: str, columns: str, told: dict[str, Any]) -> Iterator[str]:
    """Make a canary table and yield its quoted name; drop it, and note that in `told`.

    A refusal to make it ends the block's work by way of the statements that follow.
    """
    sweep(link, schema)
    name = f'"{schema}"."{NAME}_{int(time.time())}_{slug(run)[:32]}"'
    try:
        told["made"] = link.run(f"CREATE TABLE {name} ({columns})")
        yield name
    finally:
        with contextlib.suppress(LookError):
            told["removed"] = "error" not in link.run(f"DROP TABLE IF EXISTS {name}")


def sweep(link: Link, schema: str) -> None:
    """Drop the canary tables that earlier runs left behind more than an hour ago."""
    left = link.run(
        "SELECT c.oid::regclass::text FROM pg_class c "  # noqa: S608 - ours
        "JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE n.nspname = '{schema}' AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE') "
        f"AND c.relname ~ '^{NAME}_[0-9]{{9,11}}_' "
        f"AND substring(c.relname from '^{NAME}_([0-9]+)')::bigint "
        f"< extract(epoch FROM now()) - {_OLD}"
    )
    for row in left.get("rows", ()):
        link.run(f"DROP TABLE IF EXISTS {row[0]}")


def _joined(
    reach: Reach, stack: ExitStack, target: Target, port: int, login: str, database: str
) -> tuple[Link, dict[str, Any]]:
    door = stack.enter_context(dialled(reach, target, port, LIMITS.canary))
    try:
        link = stack.enter_context(linked(reach, door, login, database, limit=LIMITS.canary))
    except RefusedError as refused:
        raise LookError("unauthorized", f"the server refused {login}: {refused}") from refused
    return link, identified(link)


def _follower(
    reach: Reach,
    stack: ExitStack,
    followers: dict[str, Link],
    name: str,
    way: tuple[Target, int, str, str],
) -> dict[str, Any]:
    target, port, login, database = way
    told: dict[str, Any] = {"route": None, "server": None, "value": None, "seconds": None}
    try:
        door = stack.enter_context(dialled(reach, target, port, LIMITS.canary))
        told["route"] = door.route
        link = stack.enter_context(linked(reach, door, login, database, limit=LIMITS.canary))
        told["server"] = identified(link)
        followers[name] = link
    except RefusedError as refused:
        told["failure"] = {"kind": "refused", "message": str(refused)}
    except LookError as error:
        told["failure"] = {"kind": error.kind, "message": error.message}
    return told


def awaited(
    links: dict[str, Link], ask: str, seen: Callable[[list[Any]], bool], limit: float
) -> dict[str, _Sight]:
    """Ask all links in turn until each has seen it or `limit` seconds have passed."""
    began = time.monotonic()
    found: dict[str, _Sight] = {}
    waiting = dict(links)
    while waiting:
        for name, link in tuple(waiting.items()):
            try:
                result = link.run(ask)
                if result.get("error", {}).get("sqlstate") == _NO_TABLE:
                    link.run(_PAUSE)  # it was refused before it could take its time
            except LookError as error:
                result = {"error": {"message": error.message}}
            if "error" in result and result["error"].get("sqlstate") != _NO_TABLE:
                found[name] = _Sight(None, None, str(result["error"]["message"]))
                del waiting[name]
                continue
            row = next(iter(result.get("rows", ())), None)
            passed = time.monotonic() - began
            hit = row is not None and seen(row) and passed <= limit
            found[name] = _Sight(round(passed, 3) if hit else None, row, "")
            if hit or passed > limit:
                del waiting[name]
    return found
