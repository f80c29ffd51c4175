"""`junit.xml` in the dialect that pytest calls xunit2, for pipelines that know nothing else.

JUnit has no word for *undecided*: failed is `failure`, inconclusive `error`, the
other two `skipped` with their outcome in the message. A waived failure stays a
failure; the exit code of the audit is what gates.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from conformance.constitution import Control
from conformance.verdict import Outcome
from reports.standing import why
from reports.text import line, shown

if TYPE_CHECKING:
    from conformance.judgement import Case, Run
    from reports.model import Report

_TAGS = {
    Outcome.FAILED: "failure",
    Outcome.INCONCLUSIVE: "error",
    Outcome.NOT_MEASURED: "skipped",
    Outcome.NOT_APPLICABLE: "skipped",
}
RECORD = "the record of the run is whole"


def xml(report: Report) -> str:
    """Return the whole document."""
    suites: dict[str, list[Case]] = {}
    for case in report.run.cases:
        suites.setdefault(_suite(report, case), []).append(case)
    root = ET.Element("testsuites", name="conformance")
    root.append(_record(report.run))
    for name, cases in sorted(suites.items()):
        root.append(_testsuite(report, name, cases))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _suite(report: Report, case: Case) -> str:
    control = report.judged[case.control].control
    return control.suite.replace("/", ".") if isinstance(control, Control) else "self-checks"


def _testsuite(report: Report, name: str, cases: list[Case]) -> ET.Element:
    outcomes = [_TAGS.get(one.outcome) for one in cases]
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(outcomes.count("failure")),
        errors=str(outcomes.count("error")),
        skipped=str(outcomes.count("skipped")),
        time=f"{sum(one.seconds for one in cases):.3f}",
        timestamp=_timestamp(report.run),
    )
    suite.extend(_testcase(name, one) for one in cases)
    return suite


def _testcase(suite: str, case: Case) -> ET.Element:
    element = ET.Element(
        "testcase", classname=suite, name=line(case.case), time=f"{case.seconds:.3f}"
    )
    if tag := _TAGS.get(case.outcome):
        notes = "".join(f" ({line(one)})" for one in case.notes)
        message = f"{case.outcome}{notes}: {line(why(case))}"
        mark = ET.SubElement(element, tag, message=message, type=str(case.outcome))
        mark.text = _text(case) or message
    if case.evidence:
        ET.SubElement(element, "system-out").text = "\n".join(shown(one) for one in case.evidence)
    return element


def _text(case: Case) -> str:
    lines = [line(case.title)]
    for one in case.findings:
        if one["outcome"] != Outcome.PASSED:
            lines += [
                f"{one['outcome']}: {line(one['subject'])}: {line(one['claim'])}",
                f"  expected: {line(one['expected'])}",
                f"  observed: {line(one['observed'])}",
                *([f"  to do: {line(one['advice'])}"] if one["advice"] else []),
            ]
    return "\n".join(lines)


def _record(run: Run) -> ET.Element:
    """Return a suite of one case for the record itself: a run that is not whole is never green."""
    errors = str(int(bool(run.problems)))
    suite = ET.Element(
        "testsuite",
        name="record",
        tests="1",
        failures="0",
        errors=errors,
        skipped="0",
        time="0.000",
        timestamp=_timestamp(run),
    )
    case = ET.SubElement(suite, "testcase", classname="record", name=RECORD, time="0.000")
    if run.problems:
        found = ET.SubElement(case, "error", message=line(run.problems[0]), type="not whole")
        found.text = "\n".join(line(one) for one in run.problems)
    return suite


def _timestamp(run: Run) -> str:
    """Return when the run started, in UTC and without a zone as JUnit has it."""
    try:
        return datetime.fromisoformat(str(run.about["started"])).strftime("%Y-%m-%dT%H:%M:%S")
    except (KeyError, ValueError):
        return "1970-01-01T00:00:00"
