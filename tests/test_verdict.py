"""The algebra of outcomes, and a collector that cannot be fooled by truthiness."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.verdict import Outcome, UndecidedError, Verdict, combine, told

FOUND = st.sampled_from(
    [Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.NOT_MEASURED, Outcome.PASSED]
)


@given(st.lists(FOUND), st.randoms())
def test_the_order_of_findings_does_not_matter(outcomes: list[Outcome], random: object) -> None:
    shuffled = list(outcomes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a Random
    assert combine(shuffled) is combine(outcomes)


@given(st.lists(FOUND), st.lists(FOUND, min_size=1))
def test_combining_in_groups_changes_nothing(first: list[Outcome], second: list[Outcome]) -> None:
    whole = combine([*first, *second])
    grouped = combine([*([combine(first)] if first else []), combine(second)])
    assert grouped is whole


@given(st.lists(FOUND), FOUND)
def test_no_finding_hides_a_contradiction(outcomes: list[Outcome], more: Outcome) -> None:
    if Outcome.FAILED in outcomes:
        assert combine([*outcomes, more]) is Outcome.FAILED


@given(st.lists(FOUND))
def test_a_pass_means_that_everything_passed_and_there_was_something(
    outcomes: list[Outcome],
) -> None:
    assert (combine(outcomes) is Outcome.PASSED) == (set(outcomes) == {Outcome.PASSED})


def test_nothing_at_all_is_inconclusive() -> None:
    assert combine([]) is Outcome.INCONCLUSIVE
    assert Verdict().settle() is Outcome.INCONCLUSIVE


def test_a_finding_cannot_be_not_applicable() -> None:
    with pytest.raises(ValueError, match="engine"):
        combine([Outcome.NOT_APPLICABLE])


@pytest.mark.parametrize("value", [1, "yes", [0], object(), None])
def test_a_claim_that_is_no_bool_is_refused(value: object) -> None:
    verdict = Verdict()
    with pytest.raises(TypeError):
        verdict.expect(value, subject="s", claim="c", observed="o")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        verdict.given(value, subject="s", claim="c", observed="o")  # type: ignore[arg-type]


def test_a_positive_control_that_holds_proves_nothing_by_itself() -> None:
    verdict = Verdict()
    assert verdict.given(True, subject="s", claim="answers", observed="yes")
    assert verdict.settle() is Outcome.INCONCLUSIVE


def test_advice_never_carries_a_case() -> None:
    verdict = Verdict()
    verdict.advise(subject="s", claim="could be newer", observed="old")
    assert verdict.settle() is Outcome.INCONCLUSIVE


def test_an_undecided_subject_leaves_the_others_judged() -> None:
    verdict = Verdict()
    for subject in ("a", "b"):
        with verdict.about(subject):
            if subject == "a":
                raise UndecidedError("forbidden", ("evidence/x.json",))
            verdict.expect(True, subject=subject, claim="holds", observed="it does")
    assert [one.outcome for one in verdict.findings] == [Outcome.INCONCLUSIVE, Outcome.PASSED]
    assert verdict.findings[0].evidence == ("evidence/x.json",)


def test_too_few_subjects_fail_a_for_all() -> None:
    verdict = Verdict()
    assert not verdict.at_least(3, ["a", "b"], subject="pods", claim="are three")
    assert verdict.settle() is Outcome.FAILED
    with pytest.raises(ValueError, match="at least one"):
        verdict.at_least(0, [], subject="pods", claim="are some")


def test_findings_rest_on_the_evidence_looked_at_for_them() -> None:
    looks = iter([("a.json",), (), ("b.json",)])
    verdict = Verdict(seen=lambda: next(looks))
    for subject in "123":
        verdict.expect(True, subject=subject, claim="holds", observed="")
    assert [one.evidence for one in verdict.findings] == [("a.json",), ("a.json",), ("b.json",)]


@given(st.text())
def test_what_is_told_is_one_printable_line(text: str) -> None:
    assert told(text).isprintable() or not told(text)
    assert len(told(text)) <= 4 * len(text) + 40


def test_what_is_told_is_cut_and_counted() -> None:
    assert told("x" * 256_000).endswith("(254000 more characters)")
