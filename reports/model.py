"""What every report shows, worked out once from a judged run and the map."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from conformance.constitution import Article, Constitution, Control, Severity, Waiver
from conformance.verdict import Outcome
from reports.evidence import Exhibit, exhibits
from reports.standing import Claim, Judged, why

if TYPE_CHECKING:
    from conformance.judgement import Case, Run

_GROUPS = {
    "Articles": "articles",
    "Architecture layers": "layers",
    "Success metrics": "metrics",
    "Known limitations": "limitations",
    "Risks": "risks",
}


@dataclass(frozen=True)
class Excuse:
    """A waiver as of the run. `days_left` counts days after the run's end; None if unknown."""

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


def _urgency(judged: Judged) -> tuple[bool, int, str]:
    gates = any(one.gates and one.outcome is Outcome.FAILED for one in judged.cases)
    severity = list(Severity).index(judged.severity) if judged.severity else -1
    return (not gates, severity, judged.control.id)
