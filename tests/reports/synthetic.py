"""Makes runs that never happened, out of the real map, with every outcome and hostile strings.

The record, the evidence and the verdict are made by the engine itself, so the
reports see what they will see. `python -m tests.reports.synthetic FOLDER`
publishes one, to be looked at.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.constitution import (
    Constitution,
    Control,
    SelfCheck,
    Status,
    Waiver,
    load_constitution,
)
from conformance.evidence import Question, canonical, write_whole
from conformance.judgement import Run, judge
from conformance.ledger import Ledger
from conformance.selection import SELECTORS, Case, case_id
from conformance.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent.parent
TODAY = date(2026, 11, 24)
BUILT = ("platform", "data/postgres", "data/redis")
HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">",
    "\x1b[2J\x1b[31mred\x1b[0m \x00 \x07 bell",
    "user\u202egnp.exe\u202c \u2066isolated\u2069 zero\u200bwidth\ufeff",
    '=HYPERLINK("javascript:alert(1)")\' -->]]></failure>{{ 7*7 }}{% raw %}',
    "lone \ud800 surrogate \uffff and \u2028 separator",
    "a" * 262_144,
    "https://example.invalid/beacon <a href='javascript:alert(1)'>x</a> ![x](http://x.invalid/p)",
)
SERVER = "https://192.0.2.10:6443"


@dataclass(frozen=True)
class Scene:
    """What a made-up run is like. `outcomes` decides the outcome of a case from its id."""

    outcomes: Callable[[str], Outcome]
    hostile: bool = False
    whole: bool = True
    waived: bool = False
    replayed: bool = False
    problems: tuple[str, ...] = ()
    platform: str | None = "lab/platform.yaml"
    findings: int = 3


def mixed(case: str) -> Outcome:
    """Return each outcome for some cases, always the same ones; the self-checks hold."""
    if case.startswith("H-"):
        return Outcome.PASSED
    number = int(sha256(case.encode()).hexdigest(), 16) % 40
    marks = {0: Outcome.FAILED, 1: Outcome.FAILED, 2: Outcome.INCONCLUSIVE, 3: Outcome.NOT_MEASURED}
    return marks.get(number, Outcome.PASSED)


def good(_: str) -> Outcome:
    """Return passed, whatever the case."""
    return Outcome.PASSED


MIXED = Scene(mixed, hostile=True, waived=True)
GOOD = Scene(good)


def constitution(scene: Scene = MIXED) -> Constitution:
    """Return the map as it will be once `BUILT` is built; its waivers excuse real failures."""
    path = ROOT / scene.platform if scene.platform else None
    found = load_constitution(ROOT / "constitution_map.yaml", path, TODAY)
    controls = tuple(
        replace(one, status=Status.ACTIVE if one.suite in BUILT else Status.PLANNED)
        for one in found.controls
    )
    checks = tuple(replace(one, status=Status.ACTIVE) for one in found.self_checks)
    built = replace(found, controls=controls, self_checks=checks, waivers=())
    return replace(built, waivers=_waivers(built, scene)) if scene.waived else built


def make(folder: Path, scene: Scene = MIXED) -> tuple[Run, Constitution]:
    """Record a run in `folder` and judge it."""
    folder.mkdir(parents=True)
    map_ = constitution(scene)
    cases = _cases(map_)
    if not scene.whole:
        cases = [one for one in cases if one[0].id.startswith("PG-")]
    ledger = Ledger(folder)
    ledger.open(_about(map_, scene, [case_id(one.id, case) for one, case in cases]))
    for control, case in cases:
        ledger.case(_record(folder, control, case, scene))
    ledger.seal({"ended": "2026-11-24T10:17:31+00:00", "problems": list(scene.problems)})
    return judge(folder, map_), map_


def _cases(map_: Constitution) -> list[tuple[Control | SelfCheck, Case]]:
    return [
        (one, case)
        for one in map_.tested
        if one.status is Status.ACTIVE
        for case in SELECTORS[one.for_each].of(map_.platform)
    ]


def _about(map_: Constitution, scene: Scene, expected: list[str]) -> dict[str, Any]:
    return {
        "run": "20261124T101500.000000Z",
        "started": "2026-11-24T10:15:00+00:00",
        "suite": "0.1.0",
        "map": map_.digest,
        "platform": map_.platform.name,
        "profile": "audit",
        "allowed": ["read-only", "canary"],
        "whole": scene.whole,
        "replayed": scene.replayed,
        "expected": sorted(expected),
        "guards": {one.id: list(one.needs.guards) for one in map_.controls},
        "cluster": {
            "uid": "0f9c1f5e-7d0e-4a8e-9a54-2f3f0c1f7b11",
            "version": "v1.34.2",
            "context": {"server": SERVER},
            "seen": "2026-11-24T10:15:00.412+00:00",
        },
    }


def _waivers(map_: Constitution, scene: Scene) -> tuple[Waiver, ...]:
    found = []
    for control, case in _cases(map_):
        name = case_id(control.id, case)
        if not case.absent and scene.outcomes(name) is Outcome.FAILED:
            subject = f"{case.ref or control.id}-0"
            found.append(
                Waiver(
                    control.id,
                    subject,
                    "the vendor mends it with the next release",
                    "ada@example.org",
                    "grace@example.org",
                    "OPS-1234",
                    date(2026, 12, 4),
                )
            )
    return tuple(found[-1:])


def _evidence(folder: Path, control: Control | SelfCheck, case: Case) -> str:
    question = Question(
        f"{control.id.split('-')[0].lower()}.look", case.ref or "cluster", {"for": control.id}
    )
    path = folder / question.path
    path.parent.mkdir(parents=True, exist_ok=True)
    taken = "2026-11-24T10:15:07.250+00:00"
    record = {"question": question.as_json(), "taken_at": taken, "value": {"seen": [1, 2, 3]}}
    write_whole(path, canonical(record))
    return question.path


def _record(folder: Path, control: Control | SelfCheck, case: Case, scene: Scene) -> dict[str, Any]:
    name = case_id(control.id, case)
    record: dict[str, Any] = {
        "case": name,
        "control": control.id,
        "subject": case.ref,
        "nodeid": f"suites/x.py::{name}",
        "findings": [],
        "evidence": [],
        "reason": "",
        "seconds": 0.137,
    }
    if case.absent:
        return {**record, "outcome": "not applicable", "reason": case.absent}
    path = _evidence(folder, control, case)
    verdict = Verdict(seen=lambda: (path,))
    outcome = scene.outcomes(name)
    _examine(verdict, control, case, outcome, scene)
    return {
        **record,
        "outcome": str(verdict.settle()),
        "findings": [one.as_json() for one in verdict.findings],
        "evidence": [path],
        "reason": "" if outcome is Outcome.PASSED else verdict.findings[-1].observed,
    }


def _examine(
    verdict: Verdict, control: Control | SelfCheck, case: Case, outcome: Outcome, scene: Scene
) -> None:
    subject = case.ref or control.id
    levels = control.levels if isinstance(control, Control) else ()
    for number in range(scene.findings):
        if levels:
            verdict.at(levels[number % len(levels)])
        verdict.expect(
            holds=True,
            subject=f"{subject}-{number + 1}",
            claim="is as the map says",
            observed="3 of 3",
        )
    seen = "2 of 3 replicas are ready; the third waits for a volume"
    if scene.hostile and outcome is not Outcome.PASSED:
        seen += " · " + HOSTILE[int(sha256(subject.encode()).hexdigest(), 16) % len(HOSTILE)]
    if outcome is Outcome.FAILED:
        verdict.expect(
            holds=False,
            subject=f"{subject}-0",
            claim="has as many ready replicas as it wants",
            expected="3 of 3",
            observed=seen,
            advice="look at the events of the pod that is not ready: kubectl describe pod",
        )
    elif outcome is Outcome.INCONCLUSIVE:
        verdict.undecided(subject=subject, claim="can be examined", reason=f"403 forbidden: {seen}")
    elif outcome is Outcome.NOT_MEASURED:
        verdict.not_measured(
            subject=subject,
            claim="fails over in time",
            needs="disruptive",
            reason="this run does not allow the class `disruptive`",
        )


if __name__ == "__main__":
    from reports import publish, summary

    run, known = make(Path(sys.argv[1]), GOOD if "good" in sys.argv else MIXED)
    for written in publish(run, known, run.folder):
        print(written)  # noqa: T201 - it is what was asked for
    print(summary(run))  # noqa: T201 - likewise
