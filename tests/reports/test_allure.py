"""`allure-results`: the run in the words of Allure, and no greener."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from conformance.constitution import Control
from conformance.verdict import Outcome
from reports.allure import results
from reports.model import Report
from tests.reports.conftest import poisoned
from tests.reports.synthetic import HOSTILE

Json = dict[str, Any]
_STATUS = {
    "passed": "passed",
    "failed": "failed",
    "inconclusive": "broken",
    "not measured": "skipped",
    "not applicable": "skipped",
}


def read(report: Report) -> dict[str, Json]:
    files = results(report)
    found = [json.loads(text) for name, text in files.items() if name.endswith("-result.json")]
    return {one["name"]: one for one in found}


def labels(result: Json, name: str) -> list[str]:
    return [one["value"] for one in result["labels"] if one["name"] == name]


@pytest.fixture(scope="module")
def found(mixed: Report) -> dict[str, Json]:
    return read(mixed)


def test_every_case_has_its_status_and_says_why(found: dict[str, Json], mixed: Report) -> None:
    assert len(found) == len(mixed.run.cases) + 1
    for case in mixed.run.cases:
        result = found[case.case]
        assert result["status"] == _STATUS[case.outcome]
        message = result["statusDetails"]["message"]
        assert (str(case.outcome) in message) == (case.outcome is not Outcome.PASSED)


def test_ids_are_unique_and_say_nothing_of_the_run_where_history_is_kept(mixed: Report) -> None:
    again = Report(
        replace(mixed.run, about={**mixed.run.about, "run": "later"}), mixed.constitution
    )
    first, second = read(mixed), read(again)
    for key in ("uuid", "historyId", "testCaseId"):
        assert len({one[key] for one in first.values()}) == len(first)
    assert all(first[name]["historyId"] == second[name]["historyId"] for name in first)
    assert all(first[name]["uuid"] != second[name]["uuid"] for name in first)


def test_articles_metrics_and_controls_are_epics_features_and_stories(
    found: dict[str, Json], mixed: Report
) -> None:
    titles = {one.ref: f"{one.ref} {one.title}" for one in mixed.constitution.claims}
    for case in mixed.run.cases:
        control = mixed.judged[case.control].control
        result = found[case.case]
        assert labels(result, "story") == [f"{control.id} {control.title}"]
        if not isinstance(control, Control):
            continue
        metrics = [titles[one] for one in control.refs if one.startswith("SM-")]
        articles = [titles[one] for one in control.refs if not one.startswith("SM-")]
        apart = "Success metrics" if metrics else "Outside the articles"
        assert labels(result, "epic") == (articles or [apart])
        assert labels(result, "feature") == (metrics or [control.suite])
        assert len(labels(result, "severity")) == 1
        assert [one["url"] for one in result["links"]] == [f"report.html#{control.id}"]


def test_waived_failures_stay_failed_and_are_marked(found: dict[str, Json], mixed: Report) -> None:
    waived = next(one for one in mixed.run.cases if "waived" in one.notes)
    result = found[waived.case]
    assert result["status"] == "failed"
    assert "waived" in labels(result, "tag")
    assert "waived until 2026-12-04 by grace@example.org" in result["statusDetails"]["message"]


def test_findings_are_steps_and_nothing_is_a_parameter(
    found: dict[str, Json], mixed: Report
) -> None:
    for case in mixed.run.cases:
        steps = found[case.case]["steps"]
        assert [one["status"] for one in steps] == [
            _STATUS[finding["outcome"]] for finding in case.findings
        ]
        assert all(one["parameters"] == [] for one in (found[case.case], *steps))


def test_evidence_is_attached_as_it_was_recorded(mixed: Report) -> None:
    files = results(mixed)
    found = read(mixed)
    for case in mixed.run.cases:
        attached = found[case.case]["attachments"]
        assert [one["name"] for one in attached] == list(case.evidence)
        for one in attached:
            recorded = (mixed.run.folder / one["name"]).read_text()
            assert files[one["source"]] == recorded


def test_large_evidence_is_named_and_not_copied(mixed: Report) -> None:
    path = next(one.evidence[0] for one in mixed.run.cases if one.evidence)
    large = Report(mixed.run, mixed.constitution)
    large.__dict__["exhibits"] = tuple(
        replace(one, size=300_000) if one.path == path else one for one in mixed.exhibits
    )
    texts = [text for name, text in results(large).items() if name.endswith("-attachment.json")]
    kept = [json.loads(one) for one in texts if "too large to attach" in one]
    assert [one["too large to attach, kept at"] for one in kept] == [path]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_are_visible_text(mixed: Report, text: str) -> None:
    for name, content in results(poisoned(mixed, text)).items():
        assert "/" not in name
        assert content.encode()
        if name.endswith("-result.json"):
            told = json.loads(content)
            assert told["name"].isprintable()
            assert all(one.isprintable() or one == "\n" for one in told["statusDetails"]["message"])


def test_a_broken_record_is_broken(broken: Report) -> None:
    (only,) = read(broken).values()
    assert only["status"] == "broken"
    assert "ledger" in only["statusDetails"]["message"]
