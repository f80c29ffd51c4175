"""The ending of an audit in a terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.constitution import Severity
from reports import summary
from tests.reports.conftest import poisoned
from tests.reports.synthetic import HOSTILE

if TYPE_CHECKING:
    from reports.model import Report


def test_it_says_what_was_found_and_what_to_do(mixed: Report) -> None:
    text = summary(mixed.run, mixed.constitution)
    assert text.strip().startswith("VIOLATED\n")
    red = [one for one in mixed.run.cases if one.gates or one.outcome == "failed"]
    counts = f"{mixed.run.counts['passed']} passed, {mixed.run.counts['failed']} failed"
    for wanted in (counts, f"and {len(red) - 10} more", "next      mend the worst first"):
        assert wanted in text, text
    assert mixed.run.about["cluster"]["uid"] in text
    assert str(mixed.run.folder) in text


def test_the_worst_come_first_and_at_most_ten(mixed: Report) -> None:
    listed = re.findall(r"^  (failed|inconclusive) +\S", summary(mixed.run), re.MULTILINE)
    assert listed == sorted(listed)
    assert len(listed) == 10


def test_severity_orders_the_worst(mixed: Report) -> None:
    severities = {one.id: one.severity for one in mixed.constitution.controls}
    listed = re.findall(
        r"^  failed +([A-Z0-9-]+)", summary(mixed.run, mixed.constitution), re.MULTILINE
    )
    ranks = [[*Severity].index(severities[one]) for one in listed]
    assert len(set(ranks)) > 1
    assert ranks == sorted(ranks)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_terminal_is_safe(mixed: Report, text: str) -> None:
    report = poisoned(mixed, text)
    told = summary(replace(report.run, problems=(text,) * 9))
    assert len(told.splitlines()) <= 30
    assert all(one == "\n" or one.isprintable() for one in told)
    assert max(len(one) for one in told.splitlines() if str(report.run.folder) not in one) <= 110


def test_a_green_run_is_short(green: Report) -> None:
    text = summary(green.run)
    assert text.strip().startswith("CONFORMANT\n")
    assert len(text.splitlines()) < 10


def test_partial_and_replayed_runs_say_so(green: Report) -> None:
    about = {**green.run.about, "whole": False, "replayed": True}
    text = summary(replace(green.run, about=about))
    assert "CONFORMANT (replayed from evidence)" in text
    assert "cannot stand for a whole audit" in text


def test_a_broken_record_says_why(broken: Report) -> None:
    text = summary(broken.run)
    assert text.strip().startswith("NOT WHOLE")
    assert "problem" in text
