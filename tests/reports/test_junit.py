"""`junit.xml`: well-formed, counted, and never greener than the run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from conformance.verdict import Outcome
from reports.junit import xml
from tests.reports.conftest import poisoned
from tests.reports.synthetic import HOSTILE

if TYPE_CHECKING:
    from reports.model import Report

_TAG = {
    Outcome.PASSED: None,
    Outcome.FAILED: "failure",
    Outcome.INCONCLUSIVE: "error",
    Outcome.NOT_MEASURED: "skipped",
    Outcome.NOT_APPLICABLE: "skipped",
}
_ALLOWED = {
    "testsuites": {"name"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "testcase": {"classname", "name", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message", "type"},
    "system-out": set(),
}


def parsed(report: Report) -> ET.Element:
    return ET.fromstring(xml(report).encode())  # noqa: S314 - our own


def test_every_case_has_its_outcome(mixed: Report) -> None:
    cases = {one.get("name"): one for one in parsed(mixed).iter("testcase")}
    assert len(cases) == len(mixed.run.cases) + 1
    for case in mixed.run.cases:
        marks = [one for one in cases[case.case] if one.tag != "system-out"]
        assert [one.tag for one in marks] == ([_TAG[case.outcome]] if _TAG[case.outcome] else [])
        if marks:
            assert (marks[0].get("message") or "").startswith(str(case.outcome))


def test_the_counts_are_those_of_the_cases(mixed: Report) -> None:
    for suite in parsed(mixed):
        found = Counter(mark.tag for case in suite for mark in case)
        assert suite.get("tests") == str(len(suite))
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(name) == str(found[tag])


def test_only_what_xunit2_knows_is_written(mixed: Report) -> None:
    for one in parsed(mixed).iter():
        assert set(one.attrib) <= _ALLOWED[one.tag]


def test_waived_failures_stay_failures(mixed: Report) -> None:
    waived = next(one for one in mixed.run.cases if "waived" in one.notes)
    (found,) = parsed(mixed).iterfind(f".//testcase[@name='{waived.case}']/failure")
    assert "(waived)" in (found.get("message") or "")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_stay_text(mixed: Report, text: str) -> None:
    root = parsed(poisoned(mixed, text))
    assert {one.tag for one in root.iter()} <= set(_ALLOWED)


def test_a_broken_record_is_an_error(broken: Report) -> None:
    root = parsed(broken)
    assert [one.get("errors") for one in root] == ["1"]
