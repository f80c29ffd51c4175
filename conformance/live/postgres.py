"""Probes of PostgreSQL: statements in, the server's own words out.

A `target` is `{"pod": {namespace, name, ip}}` or `{"service": "namespace/name"}`; a
`login` names a credential of the platform section.
"""

from __future__ import annotations

import importlib
import re
import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from conformance.evidence import LookError
from conformance.kinds import KINDS
from conformance.live import kubernetes, routes
from conformance.live.postgres_link import Link, RefusedError
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.live.reach import Reach
    from conformance.live.routes import Door

Target = dict[str, Any]
NAME = "aik_conformance"
_WHO = """
SELECT host(inet_server_addr()), pg_is_in_recovery(), current_setting('server_version_num')::int,
       (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
       current_user, (extract(epoch FROM now()) * 1000)::bigint"""
_PARTS = ("address", "in_recovery", "version", "started", "user", "now")
_PACE = ("SET statement_timeout = '12s'", "SET lock_timeout = '2s'", "SET TimeZone = 'UTC'")
_MODES = ("read-only", "rolled-back", "committed")
_LARGEST_LOG = 4 * 1024 * 1024


@contextmanager
def dialled(reach: Reach, target: Target, port: int, limit: float) -> Iterator[Door]:
    """Yield host, port and route on which a target can be connected to."""
    if "pod" in target:
        with routes.dial(reach, target["pod"], port, limit) as door:
            yield door
    else:
        with routes.dial_service(reach, target["service"], port) as door:
            yield door


def linked(
    reach: Reach,
    door: Door,
    login: str,
    database: str,
    *,
    proof: str = "right",
    limit: float = LIMITS.probe,
) -> Link:
    """Log in. `proof` is `right`, `wrong`, `none`, or `stranger` (user and password made up)."""
    parts = reach.credentials.find(login)
    made_up = secrets.token_hex(12)
    settings = {
        "host": door.host,
        "port": str(door.port),
        "user": f"{NAME}_{made_up}" if proof == "stranger" else parts["user"],
        # an empty password keeps libpq from its own environment, and is never sent
        "password": {"right": parts["password"], "none": ""}.get(proof, made_up),
        "passfile": "/dev/null/none",  # there is none: 'right' is what the platform section gives
        "dbname": database,
        "application_name": NAME,
        "client_encoding": "UTF8",
        "gssencmode": "disable",
    }
    return Link(settings, limit)


def session(
    reach: Reach,
    target: Target,
    port: int,
    login: str,
    database: str,
    statements: list[str],
    mode: str = "read-only",
    proof: str = "right",
) -> dict[str, Any]:
    """Run statements one by one in a session of their own; return the transcript.

    `mode` is `read-only` (the session cannot write), `rolled-back` (one transaction
    that is never committed, in which every statement meets the state that the first
    one left), or `committed` (needs the class `canary`). Returns `route`, `asked`,
    `server`, `refused` (None, or the server's answer to the login) and `results`.
    """
    if mode not in _MODES:
        raise ValueError(f"unknown mode {mode}")
    if mode == "committed":
        reach.demand("canary")
    with dialled(reach, target, port, LIMITS.probe) as door:
        told: dict[str, Any] = {"route": door.route, "asked": None, "server": None}
        try:
            with linked(reach, door, login, database, proof=proof) as link:
                told["asked"] = link.asked
                told["server"] = identified(link)
                if mode == "read-only":
                    prepared(link, "SET default_transaction_read_only = on")
                run = _rolled_back if mode == "rolled-back" else _one_by_one
                return {**told, "refused": None, "results": run(link, statements)}
        except RefusedError as refused:
            return {**told, "refused": refused.said, "results": []}


def identified(link: Link) -> dict[str, Any]:
    """Set the pace of a session and return which server it reached.

    `started` (microseconds since 1970) tells servers apart whatever address a proxy
    shows; `now` is the server's clock in milliseconds.
    """
    prepared(link, *_PACE)
    row = link.run(_WHO)
    if "error" in row:
        raise LookError("malformed", f"the server does not say who it is: {row['error']}")
    return dict(zip(_PARTS, row["rows"][0], strict=True))


def prepared(link: Link, *statements: str) -> None:
    """Run statements that must succeed for anything that follows to mean something."""
    for one in statements:
        done = link.run(one)
        if "error" in done:
            raise LookError("malformed", f"the server refused {one!r}: {done['error']['message']}")


def _one_by_one(link: Link, statements: list[str]) -> list[dict[str, Any]]:
    return [link.run(one) for one in statements]


def _rolled_back(link: Link, statements: list[str]) -> list[dict[str, Any]]:
    prepared(link, "BEGIN")
    results = []
    for number, one in enumerate(statements):
        prepared(link, f"SAVEPOINT {NAME}")
        results.append(link.run(one))
        if number or "error" in results[-1]:
            prepared(link, f"ROLLBACK TO SAVEPOINT {NAME}")
    prepared(link, "ROLLBACK")
    return results


def connections(
    reach: Reach, target: Target, port: int, login: str, database: str, times: int
) -> dict[str, Any]:
    """Connect again and again; return the route, and of each time the server or what went wrong."""
    until = time.monotonic() + LIMITS.canary
    seen: list[dict[str, Any]] = []
    with dialled(reach, target, port, LIMITS.canary) as door:
        while len(seen) < times:
            try:
                with linked(reach, door, login, database) as link:
                    seen.append({"server": identified(link)})
            except RefusedError as refused:
                seen.append({"refused": refused.said})
            except LookError as error:
                seen.append({"error": {"kind": error.kind, "message": error.message}})
            if time.monotonic() > until:
                raise LookError("timeout", f"{len(seen)} of {times} connections took too long")
        return {"route": door.route, "seen": seen}


def log(reach: Reach, pod: dict[str, str], container: str, marker: str, since: int) -> list[str]:
    """Return the lines of a container's log of the last `since` seconds that hold `marker`."""
    path = KINDS["pods"].path_of(quote(pod["name"], ""), quote(pod["namespace"], ""))
    asked = {"container": container, "sinceSeconds": since, "limitBytes": _LARGEST_LOG}
    text = kubernetes.text(reach, f"{path}/log?{urlencode(asked)}")
    return [line[:2000] for line in re.split(r"\r?\n", text) if marker in line][:50]


def _late(module: str, name: str) -> Callable[..., Any]:
    """Return a probe of a module that builds on this one."""

    def probe(reach: Reach, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
        return getattr(importlib.import_module(module), name)(reach, **arguments)

    return probe


PROBES: dict[str, Callable[..., Any]] = {
    "session": session,
    "connections": connections,
    "log": log,
    "lag": _late("conformance.live.postgres_canary", "lag"),
    "follow": _late("conformance.live.postgres_canary", "follow"),
    "mark": _late("conformance.live.postgres_canary", "mark"),
    "drill": _late("conformance.live.postgres_drill", "drill"),
}
