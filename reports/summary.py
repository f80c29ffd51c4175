"""The last thing `conformance audit` prints: what was found, where it is, what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.constitution import Constitution, Severity
from conformance.judgement import CONFORMANT, NOT_WHOLE, UNDECIDED, VIOLATED, Case, Run
from conformance.verdict import Outcome
from reports.publishing import EXCUSE, FOLDER
from reports.standing import why
from reports.text import line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WIDTH = 110
_WORST = 10
_PROBLEMS = 3
_NEXT = {
    CONFORMANT: "nothing; keep this run: its ledger and evidence show later what was true today",
    VIOLATED: "mend the worst first; the report says for each what to do; then audit again",
    NOT_WHOLE: "do not rely on this run; see to the problem above, then audit again",
    UNDECIDED: "give the suite what it lacked (rights, credentials, a way in), then audit again",
}


def summary(run: Run, constitution: Constitution | None = None) -> str:
    """Return the ending in plain text: at most 30 lines, safe on any terminal.

    With the map, the worst are ordered by severity.
    """
    return "\n".join(("", *_head(run), *_problems(run), *_worst(run, constitution), *_tail(run)))


def _head(run: Run) -> Iterator[str]:
    cluster = run.about.get("cluster") or {}
    server = (cluster.get("context") or {}).get("server") or "unknown server"
    uid, version = cluster.get("uid") or "unknown", cluster.get("version") or "unknown version"
    counts = ", ".join(f"{number} {word}" for word, number in run.counts.items() if number)
    yield run.verdict.upper() + (" (replayed from evidence)" if run.about.get("replayed") else "")
    yield _row("cluster", f"{uid} · {server} · {version}")
    yield _row("cases", counts or "none")
    if run.about and not run.about.get("whole"):
        yield _row("partial", "chosen by hand: these cases cannot stand for a whole audit")


def _problems(run: Run) -> Iterator[str]:
    for one in run.problems[:_PROBLEMS]:
        yield _row("problem", one)
    if len(run.problems) > _PROBLEMS:
        yield _row("", f"and {len(run.problems) - _PROBLEMS} more, all in the report")


def _worst(run: Run, constitution: Constitution | None) -> Iterator[str]:
    """Yield the cases that make the run red and those that failed all the same, worst first."""
    severities = {one.id: one.severity for one in constitution.controls} if constitution else {}
    order = [*Severity]

    def urgency(case: Case) -> tuple[bool, bool, int]:
        severity = severities.get(case.control)
        rank = order.index(severity) if severity else 0
        return not case.gates, case.outcome is not Outcome.FAILED, rank

    red = [one for one in run.cases if one.gates or one.outcome is Outcome.FAILED]
    if red:
        yield ""
    for one in sorted(red, key=urgency)[:_WORST]:
        notes = f" ({', '.join(one.notes)})" if one.notes else ""
        yield _cut(f"  {one.outcome:<13} {line(one.case)}{line(notes)}: {line(why(one))}")
    if len(red) > _WORST:
        yield f"  … and {len(red) - _WORST} more, all in the report"


def _tail(run: Run) -> Iterator[str]:
    place = run.folder / FOLDER
    yield ""
    yield f"  {'report':<9} {_first(place / 'report.html', run.folder)}"
    yield _row("next", _NEXT[run.exit_code])
    if (place / EXCUSE).exists():
        yield f"  {'note':<9} {line((place / EXCUSE).read_text(encoding='utf-8'))}"


def _first(page: Path, folder: Path) -> str:
    """Return where the report is; where none could be written, where the record is."""
    return line(page if page.exists() else folder, 4096)


def _row(label: str, text: str) -> str:
    return _cut(f"  {label:<9} {line(text)}")


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
