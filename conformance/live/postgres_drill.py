"""A failover on purpose: the primary's pod is deleted while rows are being written."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.evidence import LookError
from conformance.kinds import KINDS
from conformance.live import disruption, kubernetes
from conformance.live.postgres import dialled, linked
from conformance.live.postgres_canary import table
from conformance.live.postgres_link import RefusedError
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.live.postgres_link import Link
    from conformance.live.reach import Reach

_STEP = 1.0  # seconds between two writes
_BEFORE, _AFTER = 3, 5  # rows acknowledged before the pod is deleted, and after it
_ROLE = """
SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery()
    THEN (pg_control_checkpoint()).timeline_id
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint::text"""


def drill(
    reach: Reach,
    owners: list[str],
    victim: dict[str, str],
    port: int,
    login: str,
    database: str,
    schema: str,
) -> dict[str, Any]:
    """Delete the primary's pod under one write a second; watch who takes over.

    `owners` are the uids that own the database's pods; `victim` is namespace, name and
    uid of the primary's. Returns, in seconds since the start: `deleted`, `whole` (when all
    members were back, or None); `writes` as `[at, on, acknowledged]`; `roles` as
    `[at, {pod: [in recovery, timeline, started]}]` whenever they changed; and the
    numbers of the rows that were `acknowledged` and in the end `present` (None: unread).

    Raises:
        LookError: `not-enabled` where nothing may be broken here.
    """
    disruption.demand(reach)
    run = _Drill(reach, tuple(owners), victim["namespace"], (port, login, database))
    before = run.look()
    with (
        run.link(victim["name"]) as link,
        table(link, schema, reach.run, "n int", run.told) as name,
    ):
        if "error" in run.told["made"]:
            return run.told
        run.canary = name
        try:
            run.step_until(lambda: len(run.told["acknowledged"]) >= _BEFORE, LIMITS.failover)
            disruption.delete_pod(reach, **victim)
            run.told["deleted"] = run.now
            enough = len(run.told["acknowledged"]) + _AFTER
            run.step_until(lambda: len(run.told["acknowledged"]) >= enough, 2 * LIMITS.failover)
            run.step_until(lambda: _whole(run.look(), len(before)), LIMITS.failover)
        finally:
            run.finish(len(before))
    return run.told


@dataclass
class _Drill:
    """One drill under way: where the pods are, what was written, what was seen."""

    reach: Reach
    owners: tuple[str, ...]
    namespace: str
    way: tuple[int, str, str]
    canary: str = ""
    told: dict[str, Any] = field(
        default_factory=lambda: {
            "deleted": None,
            "whole": None,
            "writes": [],
            "roles": [],
            "acknowledged": [],
            "present": None,
        }
    )
    _began: float = field(default_factory=time.monotonic)
    _next: int = 0
    _pods: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def now(self) -> float:
        """Return the seconds since the start."""
        return round(time.monotonic() - self._began, 2)

    def look(self) -> dict[str, list[Any]]:
        """Return the role of every member that answers, and write down what changed."""
        listed = kubernetes.request(self.reach, "GET", KINDS["pods"].path_of("", self.namespace))
        self._pods = {
            one["metadata"]["name"]: one
            for one in listed["items"]
            if {own["uid"] for own in one["metadata"].get("ownerReferences", ())} & {*self.owners}
        }
        roles: dict[str, list[Any]] = {}
        for name in self._pods:
            try:
                with self.link(name, 3.0) as link:
                    roles[name] = link.run(_ROLE).get("rows", [[None, None, None]])[0]
            except (LookError, RefusedError):  # it is down, or not up yet: that is a role too
                continue
        if not self.told["roles"] or self.told["roles"][-1][1] != roles:
            self.told["roles"].append([self.now, roles])
        return roles

    @contextmanager
    def link(self, pod: str, limit: float = LIMITS.drill) -> Iterator[Link]:
        """Log in to a member."""
        port, login, database = self.way
        status = self._pods[pod].get("status", {})
        target = {"namespace": self.namespace, "name": pod, "ip": status.get("podIP")}
        with (
            dialled(self.reach, {"pod": target}, port, limit) as door,
            linked(self.reach, door, login, database, limit=limit) as link,
        ):
            yield link

    def step_until(self, done: Callable[[], bool], limit: float) -> None:
        """Write a row a second until `done` holds or `limit` seconds have passed."""
        until = self.now + limit
        while not done() and self.now < until:
            began = self.now
            self._write()
            time.sleep(max(0.0, _STEP - (self.now - began)))

    def _write(self) -> None:
        primaries = [name for name, role in self.look().items() if role[0] is False]
        self._next += 1
        done = False
        for name in primaries[:1]:
            try:
                with self.link(name, 3.0) as link:
                    insert = f"INSERT INTO {self.canary} VALUES ({self._next})"  # noqa: S608 - ours
                    done = link.run(insert).get("count") == 1
            except (LookError, RefusedError):  # not acknowledged, whatever became of it
                done = False
        self.told["writes"].append([self.now, primaries[0] if primaries else None, done])
        if done:
            self.told["acknowledged"].append(self._next)

    def finish(self, members: int) -> None:
        """Read the rows back from the primary there is now, and drop their table there."""
        roles = self.look()
        if _whole(roles, members):
            self.told["whole"] = self.now
        for name in [name for name, role in roles.items() if role[0] is False][:1]:
            with self.link(name, LIMITS.probe) as link:
                rows = link.run(f"SELECT n FROM {self.canary} ORDER BY n")  # noqa: S608 - ours
                self.told["present"] = [row[0] for row in rows.get("rows", ())]
                self.told["removed"] = "error" not in link.run(f"DROP TABLE {self.canary}")


def _whole(roles: dict[str, list[Any]], members: int) -> bool:
    return len(roles) >= members and sum(role[0] is False for role in roles.values()) == 1
