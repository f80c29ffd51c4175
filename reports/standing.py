"""How cases add up: to a control, to a claim of the status document, to a level.

Nothing here judges: outcomes come from `conformance.judgement`. A claim is said to
*hold* only where every control that answers to it was decided; its own mark (✅) is
quoted beside that and never looked at.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from conformance.constitution import Article, Control, SelfCheck, Severity, Status
from conformance.verdict import Level, Outcome, combine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.judgement import Case

WORST_FIRST = (
    Outcome.FAILED,
    Outcome.INCONCLUSIVE,
    Outcome.NOT_MEASURED,
    Outcome.PASSED,
    Outcome.NOT_APPLICABLE,
)


class Standing(StrEnum):
    """What the run says about a claim of the status document."""

    VIOLATED = "violated"
    UNDECIDED = "undecided"
    NOT_MEASURED = "not measured"
    HOLDS = "holds"
    IN_PART = "holds as far as examined"
    NOT_APPLICABLE = "not applicable"
    UNEXAMINED = "not examined"


_OF_ADMISSIONS = {
    Standing.VIOLATED: "a control fails",
    Standing.HOLDS: "its controls hold",
    Standing.IN_PART: "its controls hold as far as examined",
}


@dataclass(frozen=True)
class Tally:
    """How many cases came out how at one level; outcomes that did not occur are left out."""

    level: Level
    counts: tuple[tuple[Outcome, int], ...]

    @property
    def worst(self) -> Outcome | None:
        """Return the worst outcome, None where nothing was examined at this level."""
        return self.counts[0][0] if self.counts else None


@dataclass(frozen=True)
class Judged:
    """A control or self-check with its cases in this run."""

    control: Control | SelfCheck
    cases: tuple[Case, ...]

    @property
    def outcome(self) -> Outcome | None:
        """Return the outcome of its cases together, None where there are none."""
        return together(one.outcome for one in self.cases)

    @property
    def state(self) -> str:
        """Return the outcome in words, or why there is none."""
        if self.outcome is None:
            return "planned" if self.control.status is Status.PLANNED else "not run"
        return str(self.outcome)

    @property
    def counts(self) -> tuple[tuple[Outcome, int], ...]:
        """Return the number of cases by outcome, worst first."""
        return _counted(one.outcome for one in self.cases)

    @property
    def severity(self) -> Severity | None:
        """Return the severity; a self-check has none."""
        return self.control.severity if isinstance(self.control, Control) else None

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """Return the outcomes of its cases at each of the three levels."""
        return tallies((self,))


@dataclass(frozen=True)
class Claim:
    """A claim of the status document and what this run found about it."""

    article: Article
    controls: tuple[Judged, ...]

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """Return the outcomes at each of the three levels."""
        return tallies(self.controls)

    @property
    def standing(self) -> Standing:
        """Return what the run says about the claim."""
        outcome = together(one.outcome for one in self.controls if one.outcome)
        if outcome is None:
            return Standing.UNEXAMINED
        whole = all(one.outcome is Outcome.PASSED for one in self.controls)
        return {
            Outcome.FAILED: Standing.VIOLATED,
            Outcome.INCONCLUSIVE: Standing.UNDECIDED,
            Outcome.NOT_MEASURED: Standing.NOT_MEASURED,
            Outcome.NOT_APPLICABLE: Standing.NOT_APPLICABLE,
            Outcome.PASSED: Standing.HOLDS if whole else Standing.IN_PART,
        }[outcome]

    @property
    def word(self) -> str:
        """Return the standing in words that fit: no limitation or risk can be violated."""
        if self.article.kind in {"limitation", "risk"}:
            return _OF_ADMISSIONS.get(self.standing, str(self.standing))
        return str(self.standing)

    @property
    def states(self) -> tuple[tuple[str, int], ...]:
        """Return how many of its controls are in which state, most first."""
        return tuple(Counter(one.state for one in self.controls).most_common())

    @property
    def disagreement(self) -> str:
        """Return a sentence where one level holds and another is contradicted, else nothing."""
        holding = [str(one.level) for one in self.tallies if one.worst is Outcome.PASSED]
        broken = [str(one.level) for one in self.tallies if one.worst is Outcome.FAILED]
        if not holding or not broken:
            return ""
        held, failed = _each(holding, "holds", "hold"), _each(broken, "fails", "fail")
        return f"The levels disagree: {held}, {failed}."


def together(outcomes: Iterable[Outcome | None]) -> Outcome | None:
    """Return the outcome of several; *not applicable* only where nothing else was found."""
    seen = {one for one in outcomes if one}
    decided = seen - {Outcome.NOT_APPLICABLE}
    if decided:
        return combine(decided)
    return Outcome.NOT_APPLICABLE if seen else None


def why(case: Case) -> str:
    """Return why a case has its outcome: what its first finding with that outcome saw."""
    for one in case.findings:
        if one["outcome"] == case.outcome:
            return str(one["observed"] or case.reason)
    return case.reason


def tallies(controls: Iterable[Judged]) -> tuple[Tally, ...]:
    """Return the outcomes of all cases of `controls` at each level."""
    found: dict[Level, list[Outcome]] = {level: [] for level in Level}
    for judged in controls:
        for case in judged.cases:
            for level, outcome in _levels(case, judged.control):
                found[level].append(outcome)
    return tuple(Tally(level, _counted(outcomes)) for level, outcomes in found.items())


def _levels(case: Case, control: Control | SelfCheck) -> Iterable[tuple[Level, Outcome]]:
    """Yield what a case found at each level it looked at.

    Where its outcome is in none of its findings (not applicable, or undecided
    because a self-check did not hold), it counts at each level the control has.
    """
    counting = [one for one in case.findings if one["note"] != "advisory"]
    if all(one["outcome"] != case.outcome for one in counting):
        declared = control.levels if isinstance(control, Control) else ()
        levels = {Level(one["level"]) for one in counting} | set(declared)
        yield from ((level, case.outcome) for level in Level if level in levels)
        return
    for level in Level:
        outcomes = [Outcome(one["outcome"]) for one in counting if one["level"] == level]
        if outcomes:
            yield level, combine(outcomes)


def _each(names: list[str], verb: str, verbs: str) -> str:
    return f"{' and '.join(names)} {verb if len(names) == 1 else verbs}"


def _counted(outcomes: Iterable[Outcome]) -> tuple[tuple[Outcome, int], ...]:
    found = Counter(outcomes)
    return tuple((one, found[one]) for one in WORST_FIRST if found[one])
