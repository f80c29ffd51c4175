"""`report.html`: one file, no script, nothing from outside, for auditors, paper and phones.

The template escapes whatever it is given; before that, everything it is given
goes through `shown`. So no place in it can forget either.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from conformance.judgement import CONFORMANT, NOT_WHOLE, UNDECIDED, VIOLATED
from conformance.verdict import Outcome
from reports.standing import Standing
from reports.text import counted, shown

if TYPE_CHECKING:
    from reports.model import Report

_HERE = Path(__file__).parent
SYMBOLS = {
    "passed": "✓",
    "failed": "✕",
    "inconclusive": "?",
    "not measured": "○",
    "not applicable": "\N{EN DASH}",
    "planned": "·",
    "not run": "·",
    "violated": "✕",
    "undecided": "?",
    "holds": "✓",
    "holds as far as examined": "◐",
    "not examined": "·",
}
_ABOUT = ("run", "suite", "map", "platform", "profile", "allowed", "whole", "replayed")
_CLUSTER = ("uid", "version", "context")
_MARKS = {"✅": "✅ done", "⏳": "⏳ pending"}
_MEANING = {
    CONFORMANT: "Everything this audit demands was looked at, and it holds.",
    VIOLATED: "At least one control is contradicted by what was seen.",
    NOT_WHOLE: "The record of this run is not whole, so the run shows nothing.",
    UNDECIDED: "Nothing that gates is contradicted, and something could not be decided.",
}


def html(report: Report) -> str:
    """Return the whole page."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        finalize=_finalized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        slug=_slug, time=_time, counted=counted, marked=_marked, brief=_brief
    )
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(
        report=report,
        run=report.run,
        about=dict.fromkeys(_ABOUT) | report.run.about,
        cluster=dict.fromkeys(_CLUSTER) | (report.run.about.get("cluster") or {}),
        map=report.constitution,
        meaning=_MEANING[report.run.exit_code],
        symbols=SYMBOLS,
        standings=Standing,
        Outcome=Outcome,
        took=_took(report),
        lab="lab" in str(report.run.about.get("platform", "")).split("-"),
        bar=_bar(report.run.counts),
        style=Markup(style),  # noqa: S704 - our own file, and its digest is in the policy
        policy=Markup(_policy(style)),  # noqa: S704 - our own words
    )


def _finalized(value: Any) -> Any:  # noqa: ANN401 - whatever an expression of the template gives
    return value if isinstance(value, Markup) else shown("" if value is None else value)


def _policy(style: str) -> str:
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _slug(word: object) -> str:
    """Return an outcome or a standing as the name of a CSS class."""
    return str(word).replace(" ", "-")


def _marked(text: str) -> str:
    """Return a mark of the status document with its signs in words too: not every font has them."""
    for sign, words in _MARKS.items():
        text = text.replace(sign, words)
    return text


def _brief(text: str) -> str:
    """Return what fits a heading."""
    return shown(text, 220)


def _time(text: object) -> str:
    """Return an ISO 8601 time for people, in UTC; what is no time, as it is."""
    try:
        moment = datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return str(text or "unknown")
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _took(report: Report) -> str:
    """Return how long the run took, nothing where the record does not say."""
    try:
        started = datetime.fromisoformat(str(report.run.about["started"]))
        seconds = round((datetime.fromisoformat(report.run.ended) - started).total_seconds())
    except (KeyError, ValueError, TypeError):
        return ""
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"  # noqa: PLR2004


def _bar(counts: dict[str, int]) -> list[tuple[str, float, float]]:
    """Return outcome, left edge and width of each part of a bar that is 1000 wide."""
    total = sum(counts.values())
    parts, left = [], 0.0
    for outcome, number in counts.items():
        width = 1000 * number / total if total else 0.0
        if width:
            parts.append((outcome, round(left, 2), round(width, 2)))
            left += width
    return parts
