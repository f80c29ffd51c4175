"""What a recorded run amounts to: a pure function of ledger, map and evidence.

The child that ran the tests is not asked. Self-checks that did not hold take
the decision from the cases that lean on them, waivers and notes are put beside
outcomes (never in their place), and the exit code follows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from conformance.constitution import Constitution, Control, Danger, SelfCheck, Status
from conformance.ledger import BrokenError, check_evidence, read
from conformance.selection import SELECTORS, case_id
from conformance.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CONFORMANT, VIOLATED, NOT_WHOLE, UNDECIDED, USAGE = 0, 1, 2, 3, 64
WORDS = {
    CONFORMANT: "conformant",
    VIOLATED: "violated",
    NOT_WHOLE: "not whole",
    UNDECIDED: "undecided",
}
PROFILES = {
    "gate": frozenset({Danger.READ_ONLY}),
    "audit": frozenset({Danger.READ_ONLY, Danger.CANARY}),
    "full": frozenset(Danger),
}


def expected_cases(constitution: Constitution, profile: str) -> list[str]:
    """Return the ids of every case that a whole run of the profile contains."""
    wanted = PROFILES[profile]
    chosen = [
        one
        for one in constitution.tested
        if one.status is Status.ACTIVE
        and (not isinstance(one, Control) or wanted & set(one.classes))
    ]
    return sorted(
        case_id(one.id, case)
        for one in chosen
        for case in SELECTORS[one.for_each].of(constitution.platform)
    )


@dataclass(frozen=True)
class Case:
    """One judged case. `notes` stand beside the outcome; `gates` says that it makes the run red."""

    case: str
    control: str
    title: str
    subject: str
    outcome: Outcome
    reason: str
    notes: tuple[str, ...]
    gates: bool
    findings: tuple[dict[str, Any], ...]
    evidence: tuple[str, ...]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the case with plain JSON values, the time it took left out."""
        return {
            "case": self.case,
            "control": self.control,
            "title": self.title,
            "subject": self.subject,
            "outcome": str(self.outcome),
            "reason": self.reason,
            "notes": list(self.notes),
            "gates": self.gates,
            "findings": list(self.findings),
            "evidence": list(self.evidence),
        }


@dataclass(frozen=True)
class Run:
    """A judged run. `problems` are the reasons why it is not whole, if it is not.

    `withheld`: its files show a credential, so nothing is made of them.
    """

    folder: Path
    about: dict[str, Any]
    cases: tuple[Case, ...]
    problems: tuple[str, ...]
    exit_code: int
    ended: str
    withheld: bool = False

    @property
    def verdict(self) -> str:
        """Return the verdict in words."""
        return WORDS[self.exit_code]

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of cases by outcome, every outcome named."""
        found = Counter(str(one.outcome) for one in self.cases)
        return {str(outcome): found.get(str(outcome), 0) for outcome in Outcome}

    def as_json(self) -> dict[str, Any]:
        """Return `run.json`. Everything that differs between replays is under `run`."""
        about = dict(self.about)
        own = {key: about.pop(key, None) for key in ("run", "started")}
        return {
            "schema": "run/1",
            "run": {
                **own,
                "ended": self.ended,
                "seconds": {one.case: one.seconds for one in self.cases},
            },
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "problems": list(self.problems),
            "counts": self.counts,
            **about,
            "cases": [one.as_json() for one in self.cases],
        }


def judge(folder: Path, constitution: Constitution) -> Run:
    """Judge the run recorded in `folder`. A broken record is a verdict too: not whole."""
    try:
        opened, records, seal = read(folder)
        check_evidence(folder, seal)
    except BrokenError as broken:
        return Run(folder, {}, (), (str(broken),), NOT_WHOLE, "")
    about = {k: v for k, v in opened.items() if k not in {"kind", "previous", "digest"}}
    problems = shortcomings(opened, records, seal)
    if seal.get("shown"):
        ended = seal.get("ended", "")
        return Run(folder, about, (), tuple(problems), NOT_WHOLE, ended, withheld=True)
    if about.get("map") != constitution.digest:
        problems.append("the run was made with another map or platform file than this one")
    elif about.get("whole") and set(about["expected"]) != set(
        expected_cases(constitution, str(about.get("profile")))
    ):
        problems.append("the run is called whole, and expected other cases than the map demands")
    cases = _guarded(
        [_case(one, constitution, str(about.get("profile"))) for one in records], about
    )
    cases = [_noted(one, cases, constitution) for one in cases]
    if about.get("whole"):
        problems += _unused_waivers(cases, constitution)
    ordered = tuple(sorted(cases, key=lambda one: (one.control, one.subject, one.case)))
    return Run(
        folder,
        about,
        ordered,
        tuple(problems),
        _exit_code(about, ordered, problems),
        seal.get("ended", ""),
    )


def shortcomings(
    opened: dict[str, Any], records: list[dict[str, Any]], seal: dict[str, Any]
) -> list[str]:
    """Return what a record lacks by its own account: cases, or a good end."""
    return [*_missing(opened, records), *seal.get("problems", [])]


def _missing(about: dict[str, Any], records: list[dict[str, Any]]) -> Iterable[str]:
    expected = set(about.get("expected", []))
    found = {one["case"] for one in records}
    if not expected:
        yield "nothing was expected of this run, so it shows nothing"
    for case in sorted(expected - found):
        yield f"{case} is missing: the case was expected and there is no record of it"
    for case in sorted(found - expected):
        yield f"{case} was recorded and not expected: the map does not know this case"


def _case(record: dict[str, Any], constitution: Constitution, profile: str) -> Case:
    control = constitution.anything(record["control"])
    outcome = Outcome(record["outcome"])
    findings = tuple(record["findings"])
    return Case(
        case=record["case"],
        control=record["control"],
        title=control.title,
        subject=record["subject"],
        outcome=outcome,
        reason=record["reason"],
        notes=(),
        gates=_gates(outcome, findings, control, profile),
        findings=findings,
        evidence=tuple(record["evidence"]),
        seconds=record["seconds"],
    )


def _gates(
    outcome: Outcome,
    findings: tuple[dict[str, Any], ...],
    control: Control | SelfCheck,
    profile: str,
) -> bool:
    if isinstance(control, Control) and control.advisory:
        return False
    if outcome in {Outcome.FAILED, Outcome.INCONCLUSIVE}:
        return True
    if outcome is not Outcome.NOT_MEASURED:
        return False
    demanded = {f"needs {one}" for one in PROFILES.get(profile, PROFILES["gate"])}
    missing = [one for one in findings if one["outcome"] == Outcome.NOT_MEASURED]
    return any(not one["note"] or one["note"] in demanded for one in missing)


def _guarded(cases: list[Case], about: dict[str, Any]) -> list[Case]:
    """Take the decision from cases whose self-checks did not hold."""
    broken = {
        one.control
        for one in cases
        if one.control.startswith("H-")
        and one.outcome not in {Outcome.PASSED, Outcome.NOT_APPLICABLE}
    }
    guards: dict[str, list[str]] = about.get("guards", {})
    result = []
    for one in cases:
        lost = sorted(broken & set(guards.get(one.control, ())))
        if lost and one.outcome in {Outcome.PASSED, Outcome.FAILED}:
            reason = f"was {one.outcome}, but the self-check {lost[0]} did not hold"
            notes = tuple(f"blocked by {guard}" for guard in lost)
            one = replace(  # noqa: PLW2901 - the case, decided anew
                one, outcome=Outcome.INCONCLUSIVE, reason=reason, notes=notes, gates=True
            )
        result.append(one)
    return result


def _noted(case: Case, cases: list[Case], constitution: Constitution) -> Case:
    control = constitution.anything(case.control)
    if not isinstance(control, Control):
        return case
    notes = list(case.notes)
    if case.outcome is Outcome.FAILED and control.known:
        notes.append("known")
    if case.outcome is Outcome.INCONCLUSIVE:
        failed = {one.control for one in cases if one.outcome is Outcome.FAILED}
        notes += [f"blocked by {one}" for one in control.blocked_by if one in failed]
    if control.advisory:
        notes.append("advisory")
    waived = {w.subject for w in constitution.waivers if w.control == case.control}
    contradicted = {f["subject"] for f in case.findings if f["outcome"] == Outcome.FAILED}
    undecided = any(f["outcome"] == Outcome.INCONCLUSIVE for f in case.findings)
    decided = case.outcome is Outcome.FAILED and not undecided
    if decided and contradicted <= waived:
        return replace(case, notes=(*notes, "waived"), gates=False)
    return replace(case, notes=tuple(notes))


_OPEN = {Outcome.INCONCLUSIVE, Outcome.NOT_MEASURED}


def _unused_waivers(cases: Iterable[Case], constitution: Constitution) -> Iterable[str]:
    failed = {
        (one.control, finding["subject"])
        for one in cases
        for finding in one.findings
        if finding["outcome"] == Outcome.FAILED
    }
    decided = {one.control for one in cases} - {
        one.control for one in cases if one.outcome in _OPEN
    }
    for waiver in constitution.waivers:
        if waiver.control in decided and (waiver.control, waiver.subject) not in failed:
            yield (
                f"the waiver of {waiver.control} for {waiver.subject} waives nothing: "
                "what it excused is mended or was never broken; remove it"
            )


def _exit_code(about: dict[str, Any], cases: tuple[Case, ...], problems: list[str]) -> int:
    if problems:
        return NOT_WHOLE
    real = [one for one in cases if not one.control.startswith("H-")]
    if any(one.gates and one.outcome is Outcome.FAILED for one in real):
        return VIOLATED
    if any(one.gates for one in cases) or not about.get("cluster", {}).get("uid"):
        return UNDECIDED
    if not any(one.outcome is Outcome.PASSED for one in real):
        return UNDECIDED
    return CONFORMANT
