"""What every report shows, worked out once from a judged run and the map.

Nothing here judges: outcomes come from `conformance.judgement`. A claim of the
status document is said to *hold* only where every control that answers to it
was decided; its own mark (✅) is quoted beside that and never looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property

from conformance.constitution import (
    Article,
    Constitution,
    Control,
    SelfCheck,
    Severity,
    Status,
    Waiver,
)
from conformance.judgement import Case, Run
from conformance.verdict import Level, Outcome, combine
from reports.evidence import Exhibit, exhibits

WORST_FIRST = (
    Outcome.FAILED,
    Outcome.INCONCLUSIVE,
    Outcome.NOT_MEASURED,
    Outcome.PASSED,
    Outcome.NOT_APPLICABLE,
)
_GROUPS = {
    "Articles": "articles",
    "Architecture layers": "layers",
    "Success metrics": "metrics",
    "Known limitations": "limitations",
    "Risks": "risks",
}


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
    """A control or self-check with its cases in this run. `state` is `planned` or `not run` without any."""

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
        """Return the standing in words that fit: an admitted limitation or a risk cannot be violated."""
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
        return f"The levels disagree: {_each(holding, 'holds', 'hold')}, {_each(broken, 'fails', 'fail')}."


@dataclass(frozen=True)
class Excuse:
    """A waiver as of the run. `days_left` counts whole days after the run's end; None if unknown."""

    waiver: Waiver
    days_left: int | None
    used: bool


@dataclass(frozen=True)
class Reason:
    """One reason why cases were not decided, measured or applicable, and which."""

    text: str
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Report:
    """Everything the reports show of a run."""

    run: Run
    constitution: Constitution

    @cached_property
    def judged(self) -> dict[str, Judged]:
        """Return every control and self-check of the map with its cases, by id."""
        cases: dict[str, list[Case]] = {}
        for one in self.run.cases:
            cases.setdefault(one.control, []).append(one)
        return {
            one.id: Judged(one, tuple(cases.get(one.id, ()))) for one in self.constitution.tested
        }

    @cached_property
    def controls(self) -> tuple[Judged, ...]:
        """Return the controls, without the self-checks, in the order of the map."""
        return tuple(self.judged[one.id] for one in self.constitution.controls)

    @cached_property
    def self_checks(self) -> tuple[Judged, ...]:
        """Return the self-checks in the order of the map."""
        return tuple(self.judged[one.id] for one in self.constitution.self_checks)

    @cached_property
    def claims(self) -> dict[str, tuple[Claim, ...]]:
        """Return the claims of the status document under their headings."""
        return {
            title: tuple(self._claim(one) for one in getattr(self.constitution, name))
            for title, name in _GROUPS.items()
        }

    def _claim(self, article: Article) -> Claim:
        answering = self.constitution.answering(article.ref)
        return Claim(article, tuple(self.judged[one.id] for one in answering))

    @cached_property
    def broken(self) -> tuple[Judged, ...]:
        """Return the controls with failed cases: those that gate first, then by severity."""
        found = [
            one
            for one in (*self.self_checks, *self.controls)
            if any(case.outcome is Outcome.FAILED for case in one.cases)
        ]
        return tuple(sorted(found, key=_urgency))

    def reasons(self, outcome: Outcome) -> tuple[Reason, ...]:
        """Return why cases have this outcome, the reason of most cases first."""
        found: dict[str, list[Case]] = {}
        for one in self.run.cases:
            if one.outcome is outcome:
                found.setdefault(why(one), []).append(one)
        ordered = sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[1][0].case))
        return tuple(Reason(text, tuple(cases)) for text, cases in ordered)

    @cached_property
    def uncontrolled(self) -> tuple[Article, ...]:
        """Return the claims that no control answers to."""
        return tuple(
            one.article for group in self.claims.values() for one in group if not one.controls
        )

    def lacking(self, state: str) -> dict[str, tuple[Judged, ...]]:
        """Return the controls that are `planned` or `not run`, by suite."""
        found: dict[str, list[Judged]] = {}
        for one in self.controls:
            if one.state == state and isinstance(one.control, Control):
                found.setdefault(one.control.suite, []).append(one)
        return {suite: tuple(ones) for suite, ones in found.items()}

    @cached_property
    def excuses(self) -> tuple[Excuse, ...]:
        """Return the waivers, those that end first first."""
        ended = self.day
        waivers = sorted(self.constitution.waivers, key=lambda one: (one.until, one.control))
        failed = {
            (one.control, finding["subject"])
            for one in self.run.cases
            for finding in one.findings
            if finding["outcome"] == Outcome.FAILED
        }
        return tuple(
            Excuse(
                one,
                (one.until - ended).days if ended else None,
                (one.control, one.subject) in failed,
            )
            for one in waivers
        )

    @cached_property
    def exhibits(self) -> tuple[Exhibit, ...]:
        """Return the evidence files of the run, numbered."""
        return exhibits(self.run.folder)

    @cached_property
    def exhibit(self) -> dict[str, Exhibit]:
        """Return the evidence files by their path."""
        return {one.path: one for one in self.exhibits}

    @property
    def day(self) -> date | None:
        """Return the day on which the run ended, None where the record does not say."""
        try:
            return datetime.fromisoformat(self.run.ended).date()
        except ValueError:
            return None


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


def _urgency(judged: Judged) -> tuple[bool, int, str]:
    gates = any(one.gates and one.outcome is Outcome.FAILED for one in judged.cases)
    severity = list(Severity).index(judged.severity) if judged.severity else -1
    return (not gates, severity, judged.control.id)
