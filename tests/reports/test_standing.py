"""A claim is never said to hold because nothing was looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from conformance.constitution import Status
from conformance.judgement import judge
from conformance.verdict import Level, Outcome
from reports.model import Report
from reports.standing import Judged, Standing, tallies, together, why
from tests.reports.synthetic import GOOD, Scene, make

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ((), None),
        ((None, None), None),
        ((Outcome.NOT_APPLICABLE,), Outcome.NOT_APPLICABLE),
        ((Outcome.NOT_APPLICABLE, Outcome.PASSED), Outcome.PASSED),
        ((Outcome.PASSED, Outcome.NOT_MEASURED), Outcome.NOT_MEASURED),
        ((Outcome.NOT_MEASURED, Outcome.INCONCLUSIVE), Outcome.INCONCLUSIVE),
        (tuple(Outcome), Outcome.FAILED),
    ],
)
def test_the_worst_outcome_stands_for_many(
    outcomes: tuple[Outcome | None, ...], expected: Outcome | None
) -> None:
    assert together(outcomes) is expected


def test_a_claim_holds_only_where_all_its_controls_were_decided(green: Report) -> None:
    claims = [one for group in green.claims.values() for one in group]
    assert {one.standing for one in claims} == {
        Standing.HOLDS,
        Standing.IN_PART,
        Standing.UNEXAMINED,
    }
    for claim in claims:
        states = {one.state for one in claim.controls}
        assert (claim.standing is Standing.HOLDS) == (states == {"passed"}), claim.article.ref
        assert (claim.standing is Standing.UNEXAMINED) == (states <= {"planned", "not run"})


def test_the_documents_own_mark_is_no_input(green: Report) -> None:
    for group in green.claims.values():
        for claim in group:
            turned = replace(claim, article=replace(claim.article, mark="✅"))
            assert turned.standing is claim.standing


def test_limitations_and_risks_are_not_said_to_be_violated(mixed: Report) -> None:
    words = {one.word for title in ("Known limitations", "Risks") for one in mixed.claims[title]}
    assert not words & {"violated", "holds"}
    assert "a control fails" in words


def test_every_claim_of_the_map_is_there_once(mixed: Report) -> None:
    refs = [one.article.ref for group in mixed.claims.values() for one in group]
    assert sorted(refs) == sorted(one.ref for one in mixed.constitution.claims)


def test_planned_and_unrun_controls_are_gaps(tmp_path: Path) -> None:
    report = Report(*make(tmp_path / "run", replace(GOOD, whole=False)))
    unrun = [one for ones in report.lacking("not run").values() for one in ones]
    planned = [one for ones in report.lacking("planned").values() for one in ones]
    assert unrun
    assert all(one.control.status is Status.ACTIVE for one in unrun)
    assert all(one.control.status is Status.PLANNED for one in planned)
    ran = [one for one in report.controls if one.cases]
    assert len(unrun) + len(planned) + len(ran) == len(report.constitution.controls)


def test_claims_without_control_say_why(mixed: Report) -> None:
    assert [one.ref for one in mixed.uncontrolled] == ["RK5"]
    assert mixed.uncontrolled[0].undecided


def test_levels_count_cases_by_the_worst_they_found_there(mixed: Report) -> None:
    failed = next(one for one in mixed.run.cases if one.outcome is Outcome.FAILED)
    judged = Judged(mixed.judged[failed.control].control, (failed,))
    worst = {tally.level: tally.worst for tally in judged.tallies}
    for level in Level:
        found = {one["outcome"] for one in failed.findings if one["level"] == level}
        assert worst[level] == next(
            (one for one in (Outcome.FAILED, Outcome.PASSED) if one in found), None
        )


def test_a_decision_taken_by_a_self_check_is_taken_at_every_level(tmp_path: Path) -> None:
    def down(case: str) -> Outcome:
        return Outcome.FAILED if case == "H-03" else Outcome.PASSED

    run, known = make(tmp_path / "run", Scene(down))
    guarded = [one for one in run.cases if "blocked by H-03" in one.notes]
    report = Report(run, known)
    assert guarded
    for case in guarded:
        judged = Judged(report.judged[case.control].control, (case,))
        assert {one.worst for one in judged.tallies} <= {Outcome.INCONCLUSIVE, None}
        assert why(case) == case.reason
    assert [one.control.id for one in report.broken][:1] == ["H-03"]


def test_tallies_have_all_three_levels_even_of_nothing() -> None:
    assert [one.level for one in tallies(())] == list(Level)
    assert all(one.worst is None for one in tallies(()))


def test_levels_that_disagree_are_named(mixed: Report) -> None:
    told = [one.disagreement for group in mixed.claims.values() for one in group]
    assert any("declared" in one and "fail" in one for one in told)


def test_findings_that_gate_come_first_then_by_severity(mixed: Report) -> None:
    gating = [
        any(case.gates and case.outcome is Outcome.FAILED for case in one.cases)
        for one in mixed.broken
    ]
    assert gating == sorted(gating, reverse=True)
    assert not gating[-1], "the waived one comes last"
    ranks = [
        ("critical", "high", "medium", "low").index(str(one.severity))
        for one, gates in zip(mixed.broken, gating, strict=True)
        if gates
    ]
    assert ranks == sorted(ranks)


def test_days_left_are_counted_from_the_end_of_the_run(mixed: Report) -> None:
    excuse = mixed.excuses[0]
    assert excuse.used
    assert (excuse.waiver.until, excuse.days_left) == (date(2026, 12, 4), 10)


def test_a_record_that_is_broken_is_reported_all_the_same(green: Report, tmp_path: Path) -> None:
    report = Report(judge(tmp_path, green.constitution), green.constitution)
    assert report.run.verdict == "not whole"
    assert {one.standing for group in report.claims.values() for one in group} == {
        Standing.UNEXAMINED
    }
    assert report.day is None
