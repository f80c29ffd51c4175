"""Outcomes, findings, and how findings become one verdict.

The words are those of `docs/outcomes.md`. Findings combine by the order
failed > inconclusive > not measured > passed, and nothing at all is
inconclusive: a pass needs something that was looked at.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Outcome(StrEnum):
    """What is known about a claim, or about a whole case."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NOT_MEASURED = "not measured"
    NOT_APPLICABLE = "not applicable"


class Level(StrEnum):
    """Where a claim was examined: objects, running configuration, or behaviour."""

    DECLARED = "declared"
    EFFECTIVE = "effective"
    OBSERVED = "observed"


_ORDER = (Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.NOT_MEASURED, Outcome.PASSED)


def combine(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome of findings taken together; of none, inconclusive.

    Raises:
        ValueError: for *not applicable*, which no finding can have.
    """
    seen = set(outcomes)
    if Outcome.NOT_APPLICABLE in seen:
        raise ValueError("'not applicable' is for the engine to say, not for a finding")
    return next((one for one in _ORDER if one in seen), Outcome.INCONCLUSIVE)


class UndecidedError(Exception):
    """The evidence does not answer the question: denied, unreachable, missing, half.

    Never means that the platform is wrong. `reason` is one sentence that says
    what was seen and, where possible, what to do.
    """

    def __init__(self, reason: str, evidence: Iterable[str] = ()) -> None:
        """Keep the reason and the evidence files that show it."""
        super().__init__(reason)
        self.reason = reason
        self.evidence = tuple(evidence)


@dataclass(frozen=True)
class Finding:
    """One claim about one subject, and what was seen of it."""

    subject: str
    claim: str
    outcome: Outcome
    expected: str
    observed: str
    level: Level
    advice: str = ""
    note: str = ""
    evidence: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the finding with plain JSON values."""
        return {
            "subject": self.subject,
            "claim": self.claim,
            "outcome": str(self.outcome),
            "expected": self.expected,
            "observed": self.observed,
            "level": str(self.level),
            "advice": self.advice,
            "note": self.note,
            "evidence": list(self.evidence),
        }


_LONGEST = 2_000
_ADVISORY = "advisory"


def told(value: object) -> str:
    """Return `value` as findings quote it: one line, control characters shown, cut and counted."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text) - _LONGEST} more characters)"
    return text


class Verdict:
    """Collects the findings of one case; tests state claims through it.

    `level` is the level of the claims until `at` changes it. `seen` returns the
    evidence files looked at since it was last called; a finding that follows
    another without a new look rests on the same files.
    """

    def __init__(
        self, level: Level = Level.DECLARED, seen: Callable[[], tuple[str, ...]] = tuple
    ) -> None:
        """Start without findings."""
        self.level = level
        self.findings: list[Finding] = []
        self._seen = seen
        self._resting_on: tuple[str, ...] = ()

    def at(self, level: Level) -> Verdict:
        """Make `level` the level of the claims that follow."""
        self.level = level
        return self

    def expect(
        self,
        holds: bool,  # noqa: FBT001 - the claim itself
        *,
        subject: object,
        claim: str,
        observed: object,
        expected: object = "",
        advice: str = "",
        note: str = "",
    ) -> bool:
        """State a claim: it passes where `holds` is True and fails where it is False.

        Raises:
            TypeError: where `holds` is not a bool. A truthy object would make a
                claim that cannot fail.
            ValueError: where `note` is the one of `advise`, which never gates.
        """
        if not isinstance(holds, bool):
            raise TypeError(f"a claim is True or False, not {type(holds).__name__}")
        if note == _ADVISORY:
            raise ValueError("a claim that may fail unheard is no claim; use advise")
        outcome = Outcome.PASSED if holds else Outcome.FAILED
        self._add(subject, claim, outcome, expected, observed, advice, note)
        return holds

    def given(
        self,
        holds: bool,  # noqa: FBT001 - the claim itself
        *,
        subject: object,
        claim: str,
        observed: object,
        advice: str = "",
    ) -> bool:
        """State a positive control: where it does not hold, the subject is undecided.

        A control that holds adds no finding: by itself it proves nothing.
        """
        if not isinstance(holds, bool):
            raise TypeError(f"a control is True or False, not {type(holds).__name__}")
        if not holds:
            self._add(
                subject, claim, Outcome.INCONCLUSIVE, "the instrument works", observed, advice, ""
            )
        return holds

    def undecided(self, *, subject: object, claim: str, reason: str, blocked_by: str = "") -> None:
        """State that a claim could not be decided, and why."""
        note = f"blocked by {blocked_by}" if blocked_by else ""
        self._add(subject, claim, Outcome.INCONCLUSIVE, "an answer", reason, "", note)

    def not_measured(self, *, subject: object, claim: str, reason: str, needs: str = "") -> None:
        """State that a claim applies, could be measured, and was not.

        `needs` names the class (canary, disruptive, load) that would measure it:
        a profile without that class does not demand it.
        """
        note = f"needs {needs}" if needs else ""
        self._add(subject, claim, Outcome.NOT_MEASURED, "a measurement", reason, "", note)

    def advise(self, *, subject: object, claim: str, observed: object) -> None:
        """Report something worth knowing. It is a passed finding noted `advisory`: it never gates.

        It cannot carry a case: `settle` leaves advisories out.
        """
        self._add(subject, claim, Outcome.PASSED, "", observed, "", _ADVISORY)

    def at_least(
        self, minimum: int, things: Iterable[object], *, subject: object, claim: str
    ) -> bool:
        """Fail where fewer than `minimum` subjects exist; a for-all over nothing proves nothing.

        Adds a finding only on failure. `minimum` must be 1 or more.
        """
        if minimum < 1:
            raise ValueError("a for-all needs at least one subject")
        count = sum(1 for _ in things)
        if count < minimum:
            self._add(subject, claim, Outcome.FAILED, f"at least {minimum}", f"{count}", "", "")
        return count >= minimum

    @contextmanager
    def about(self, subject: object, claim: str = "can be examined") -> Iterator[None]:
        """Keep an `UndecidedError` to this subject, so that the others are still judged."""
        try:
            yield
        except UndecidedError as undecided:
            self._add(
                subject,
                claim,
                Outcome.INCONCLUSIVE,
                "an answer",
                undecided.reason,
                "",
                "",
                undecided.evidence,
            )

    def settle(self) -> Outcome:
        """Return the outcome of the case so far."""
        return combine(one.outcome for one in self.findings if one.note != _ADVISORY)

    def _add(
        self,
        subject: object,
        claim: str,
        outcome: Outcome,
        expected: object,
        observed: object,
        advice: str,
        note: str,
        evidence: tuple[str, ...] = (),
    ) -> None:
        self._resting_on = tuple(dict.fromkeys((*evidence, *self._seen()))) or self._resting_on
        self.findings.append(
            Finding(
                subject=told(str(subject)),
                claim=told(claim),
                outcome=outcome,
                expected=told(expected),
                observed=told(observed),
                level=self.level,
                advice=told(advice),
                note=told(note),
                evidence=self._resting_on,
            )
        )
