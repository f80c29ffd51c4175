"""What would make another server the primary: controllers, by the signs of life they give."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from conformance.cluster import Object, ref
from conformance.evidence import Question
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from conformance.evidence import Lens
    from conformance.postgres import Servers
    from conformance.postgres_session import Result

AGENTS = """
SELECT application_name, extract(epoch FROM clock_timestamp() - max(state_change))::int
FROM pg_stat_activity WHERE application_name ~* '^(patroni|repmgrd|stolon)' GROUP BY 1"""
READINESS = """
SELECT name, setting FROM pg_settings
WHERE name IN ('synchronous_standby_names', 'wal_log_hints', 'data_checksums') ORDER BY name"""
_SILENT = 60  # seconds without a statement after which an agent counts as gone
_OPERATORS = {  # group of the owning kind: what stands in the names of the operator's leases
    "postgresql.cnpg.io": "cnpg",
    "acid.zalan.do": "zalan",
    "postgres-operator.crunchydata.com": "crunchydata",
    "stackgres.io": "stackgres",
    "kubegres.reactive-tech.io": "kubegres",
    "apps.kubeblocks.io": "kubeblocks",
    "workloads.kubeblocks.io": "kubeblocks",
}
_BUILT_IN = {"apps/v1", "batch/v1", "v1"}
_ELECTION = "control-plane.alpha.kubernetes.io/leader"


@dataclass(frozen=True)
class Controller:
    """A failover controller. `works` is None where nothing shows whether it does."""

    name: str
    works: bool | None
    told: str


def controllers(
    lens: Lens, pods: tuple[Object, ...], workload: Object | None, agents: Iterable[Result]
) -> tuple[tuple[Controller, ...], str]:
    """Return the controllers that are found, and why some could not be looked for.

    A lock that a controller must renew says most; the sessions of its agents count
    where there is no lock, the owner of the pods where there is neither.
    """
    hidden: list[str] = []

    def tried(look: Callable[[], Iterable[Controller]]) -> tuple[Controller, ...]:
        try:
            return tuple(look())
        except UndecidedError as undecided:
            hidden.append(undecided.reason)
            return ()

    found = (
        *tried(lambda: _locks(lens, pods, "configmaps")),
        *tried(lambda: _locks(lens, pods, "endpoints")),
    )
    found = found or tried(lambda: _sessions(agents))
    found = found or tried(lambda: _operators(lens, pods, workload))
    return found, "; ".join(hidden)


def _locks(lens: Lens, pods: tuple[Object, ...], kind: str) -> Iterator[Controller]:
    """Yield what holds a lock for one of the pods: Patroni, or stolon's sentinel."""
    names = {one["metadata"]["name"] for one in pods}
    spaces = {one["metadata"]["namespace"] for one in pods}
    keepers = any("stolon" in json.dumps(one["spec"].get("containers")) for one in pods)
    answer = lens.look(Question("kubernetes.list", kind, {"kind": kind}))
    items = [one for one in answer.value if one["metadata"].get("namespace") in spaces]
    notes = {ref(one): one["metadata"].get("annotations") or {} for one in items}
    for name, note in notes.items():
        if note.get("leader") in names and "renewTime" in note:
            scope = name.removesuffix("-leader")
            config = _json(notes.get(f"{scope}-config", {}).get("config"))
            yield _lock("Patroni", answer.time, note, config.get("pause") is True)
        election = _json(note.get(_ELECTION))
        if keepers and "stolon" in name and "renewTime" in election:
            yield _lock("stolon", answer.time, election, paused=False)


def _lock(name: str, seen: datetime, note: dict[str, Any], paused: bool) -> Controller:  # noqa: FBT001
    life = float(note.get("ttl") or note.get("leaseDurationSeconds") or 30)
    age = (seen - datetime.fromisoformat(str(note["renewTime"]))).total_seconds()
    told = f"{name}: its lock of {life:.0f} s was renewed {age:.0f} s before"
    if paused:
        return Controller(name, works=False, told=f"{told}; it is paused: it changes no roles")
    return Controller(name, works=age <= life, told=told)


def _sessions(agents: Iterable[Result]) -> Iterator[Controller]:
    ages: dict[str, int] = {}
    for result in agents:
        for name, age in result.table:
            agent = str(name).split()[0]
            ages[agent] = min(age if age is not None else _SILENT + 1, ages.get(agent, age or 0))
    for name, age in ages.items():
        told = f"an agent {name} last spoke to its server {age} s before"
        yield Controller(name, works=age <= _SILENT, told=told)


def _operators(
    lens: Lens, pods: tuple[Object, ...], workload: Object | None
) -> Iterator[Controller]:
    owners = {
        (one["apiVersion"], one["kind"])
        for item in (*pods, *([workload] if workload else ()))
        for one in item["metadata"].get("ownerReferences") or ()
        if one.get("controller") and one["apiVersion"] not in _BUILT_IN
    }
    for version, kind in sorted(owners):
        word = _OPERATORS.get(version.partition("/")[0])
        if word is None:
            told = f"the pods belong to a {kind} of {version}, which this suite does not know"
            yield Controller(kind, works=None, told=told)
            continue
        works, seen = _operator_lives(lens, word)
        yield Controller(kind, works, f"the pods belong to a {kind} of {version}; {seen}")


def _operator_lives(lens: Lens, word: str) -> tuple[bool | None, str]:
    answer = lens.look(Question("kubernetes.list", "leases", {"kind": "leases"}))
    for one in answer.value:
        spec = one.get("spec") or {}
        if word not in one["metadata"]["name"] or not spec.get("renewTime"):
            continue
        age = (answer.time - datetime.fromisoformat(spec["renewTime"])).total_seconds()
        life = spec.get("leaseDurationSeconds") or 15
        return age <= 2 * life, f"its operator renewed {ref(one)} {age:.0f} s before"
    return None, "no lease shows that its operator runs"


@dataclass(frozen=True)
class Drill:
    """What became of the database when the pod of its primary was deleted; times in seconds.

    `seconds` is None where no server took over on a later timeline; `pause` is the longest
    time between two acknowledged rows, from the last before the deletion on. `lost` are
    rows that were acknowledged and are gone; None where they could not be read back.
    """

    started: bool
    refusal: str
    seconds: float | None
    pause: float | None
    told: str
    lost: tuple[int, ...] | None
    whole: bool


def drill(servers: Servers) -> Drill:
    """Delete the primary's pod under a write a second; return what was seen."""
    declared, primary = servers.declared, servers.roster().primary
    meta = primary.item["metadata"]
    arguments = {
        **servers.way(declared.application),
        "owners": sorted(one["uid"] for one in meta.get("ownerReferences") or ()),
        "victim": {key: meta[key] for key in ("namespace", "name", "uid")},
        "schema": declared.canary_schema,
    }
    return drill_of(servers.lens.look(Question("postgres.drill", primary.ref, arguments)).value)


def drill_of(value: dict[str, Any]) -> Drill:
    """Return what a `postgres.drill` probe saw."""
    deleted = value["deleted"]
    if deleted is None:
        made = (value.get("made") or {}).get("error") or {}
        why = made.get("message", "the first rows were not acknowledged")
        return Drill(
            started=False,
            refusal=why,
            seconds=None,
            pause=None,
            told="the pod was not deleted",
            lost=None,
            whole=True,
        )
    acted = [
        (at, name, role[1])
        for at, roles in value["roles"]
        for name, role in sorted(roles.items())
        if role[0] is False
    ]
    before = [one for one in acted if one[0] <= deleted][-1]
    after = [one for one in acted if one[0] > deleted and one[2] > before[2]]
    writes = [at for at, _, done in value["writes"] if done]
    before_it = [at for at in writes if at <= deleted]
    served = [*before_it[-1:], *(at for at in writes if at > deleted)]
    present = value["present"]
    return Drill(
        started=True,
        refusal="",
        seconds=round(after[0][0] - deleted, 1) if after else None,
        pause=max((round(b - a, 1) for a, b in pairwise(served)), default=None),
        told=f"{before[1]} on timeline {before[2]}, then "
        + (f"{after[0][1]} on timeline {after[0][2]}" if after else "no later timeline"),
        lost=None if present is None else tuple(sorted({*value["acknowledged"]} - {*present})),
        whole=value["whole"] is not None,
    )


def _json(text: object) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
