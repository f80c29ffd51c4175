"""`allure-results`: the run in the Allure 2 results format, written by ourselves.

Epic is the article (or layer, limitation, risk), feature the success metric or,
without one, the suite; story is the control. Every pair of epic and feature that
Allure makes of these is true. Inconclusive is `broken`; not applicable and not
measured are `skipped`; waived stays `failed` and is marked. Ids are digests, so
the same run gives the same files and the same case keeps its history.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from conformance.constitution import Control, SelfCheck
from conformance.evidence import canonical
from conformance.verdict import Outcome
from reports.junit import RECORD
from reports.standing import why
from reports.text import line, shown

if TYPE_CHECKING:
    from conformance.judgement import Case
    from reports.model import Report

Json = dict[str, Any]
STATUS = {
    Outcome.PASSED: "passed",
    Outcome.FAILED: "failed",
    Outcome.INCONCLUSIVE: "broken",
    Outcome.NOT_MEASURED: "skipped",
    Outcome.NOT_APPLICABLE: "skipped",
}
_SEVERITY = {"critical": "blocker", "high": "critical", "medium": "normal", "low": "minor"}
_LARGEST = 262_144


def results(report: Report) -> dict[str, str]:
    """Return the text of every results file by its name.

    Evidence is attached whole up to 256 KiB a file; of what is larger, its place
    in the run's folder and its digest.
    """
    start = _milliseconds(report)
    files = {"environment.properties": _environment(report)}
    found = [_record(report, start)]
    found += (_result(report, one, start + i) for i, one in enumerate(report.run.cases, 1))
    files |= {f"{one['uuid']}-result.json": canonical(one) for one in found}
    cited = {path for case in report.run.cases for path in _cited(case)}
    for path in sorted(cited & set(report.exhibit)):
        files[_attachment(path)] = _content(report, path)
    return files


def _result(report: Report, case: Case, start: int) -> Json:
    control = report.judged[case.control].control
    notes = [line(one) for one in case.notes]
    message = f"{case.outcome}: {line(why(case))}" if case.outcome is not Outcome.PASSED else ""
    waiver = _waiver(report, case) if "waived" in case.notes else ""
    return {
        "uuid": _digest(str(report.run.about.get("run", "")), case.case),
        "historyId": _digest(case.case),
        "testCaseId": _digest(case.case),
        "name": line(case.case),
        "fullName": line(case.case),
        "description": line(control.title),
        "status": STATUS[case.outcome],
        "statusDetails": {"message": "\n".join(filter(None, (waiver, message)))},
        "stage": "finished",
        "start": start,
        "stop": start + round(case.seconds * 1000),
        "labels": [*_labels(report, control), *({"name": "tag", "value": one} for one in notes)],
        "links": [
            {"type": "link", "name": f"{control.id} in the map", "url": f"report.html#{control.id}"}
        ],
        "steps": [_step(one, start) for one in case.findings],
        "attachments": _attachments(report, case.evidence),
        "parameters": [],
    }


def _labels(report: Report, control: Control | SelfCheck) -> list[Json]:
    """Return the labels of a control."""
    titles = {one.ref: f"{one.ref} {one.title}" for one in report.constitution.claims}
    if not isinstance(control, Control):
        found = [("epic", "Self-checks"), ("feature", "instruments")]
    else:
        metrics = [titles[one] for one in control.refs if one.startswith("SM-")]
        articles = [titles[one] for one in control.refs if not one.startswith("SM-")]
        apart = "Success metrics" if metrics else "Outside the articles"
        found = [("epic", one) for one in articles or [apart]]
        found += [("feature", one) for one in metrics or [control.suite]]
        found += [("severity", _SEVERITY[control.severity]), ("suite", control.suite)]
        found += [("tag", f"{control.severity} severity")]
        found += [("tag", str(one)) for one in control.levels]
    found.append(("story", f"{control.id} {control.title}"))
    return [{"name": name, "value": line(value)} for name, value in found]


def _step(finding: Json, start: int) -> Json:
    """Return a finding as a step. Allure calls details an error, so what passed has none."""
    outcome = Outcome(finding["outcome"])
    name = f"{line(finding['subject'])} {line(finding['claim'])} ({finding['level']})"
    details = "\n".join(
        f"{label}: {line(finding[key])}"
        for label, key in (
            ("expected", "expected"),
            ("observed", "observed"),
            ("to do", "advice"),
            ("note", "note"),
        )
        if finding[key]
    )
    passed = outcome is Outcome.PASSED
    return {
        "name": f"{name}: {line(finding['observed'])}" if passed else name,
        "status": STATUS[outcome],
        "statusDetails": {} if passed else {"message": details},
        "stage": "finished",
        "start": start,
        "stop": start,
        "steps": [],
        "attachments": [],
        "parameters": [],
    }


def _record(report: Report, start: int) -> Json:
    """Return a result for the record itself: a run that is not whole is never all green."""
    problems = report.run.problems
    return {
        "uuid": _digest(str(report.run.about.get("run", "")), RECORD),
        "historyId": _digest(RECORD),
        "testCaseId": _digest(RECORD),
        "name": RECORD.capitalize(),
        "fullName": RECORD,
        "status": "broken" if problems else "passed",
        "statusDetails": {"message": "\n".join(line(one) for one in problems)},
        "stage": "finished",
        "start": start,
        "stop": start,
        "labels": [
            {"name": "epic", "value": "Self-checks"},
            {"name": "feature", "value": "record"},
            {"name": "story", "value": "Ledger and seal"},
        ],
        "links": [],
        "steps": [],
        "attachments": [],
        "parameters": [],
    }


def _waiver(report: Report, case: Case) -> str:
    subjects = {one["subject"] for one in case.findings}
    waivers = (one for one in report.constitution.waivers if one.control == case.control)
    return "\n".join(
        f"waived until {one.until} by {line(one.approved_by)}: {line(one.reason)}"
        for one in waivers
        if one.subject in subjects
    )


def _cited(case: Case) -> tuple[str, ...]:
    found = (path for one in case.findings for path in one["evidence"])
    return tuple(dict.fromkeys((*case.evidence, *found)))


def _attachments(report: Report, paths: tuple[str, ...]) -> list[Json]:
    return [
        {"name": shown(path), "source": _attachment(path), "type": "application/json"}
        for path in paths
        if path in report.exhibit
    ]


def _attachment(path: str) -> str:
    return f"{_digest(path)}-attachment.json"


def _content(report: Report, path: str) -> str:
    exhibit = report.exhibit[path]
    if exhibit.size <= _LARGEST:
        return (report.run.folder / path).read_text(encoding="utf-8", errors="replace")
    kept = {"too large to attach, kept at": path, "bytes": exhibit.size, "sha256": exhibit.digest}
    return canonical(kept)


def _environment(report: Report) -> str:
    about = report.run.about
    cluster = about.get("cluster") or {}
    facts = {
        "Verdict": report.run.verdict,
        "Cluster.uid": cluster.get("uid"),
        "Cluster.version": cluster.get("version"),
        "Cluster.server": (cluster.get("context") or {}).get("server"),
        "Platform": about.get("platform"),
        "Profile": about.get("profile"),
        "Whole": "yes" if about.get("whole") else "no, partial",
        "Suite": about.get("suite"),
        "Map": about.get("map"),
        "Ended": report.run.ended,
    }
    return "".join(f"{key}={_property(value)}\n" for key, value in facts.items())


def _property(value: object) -> str:
    return line("unknown" if value in {None, ""} else value).replace("\\", "\\\\")


def _milliseconds(report: Report) -> int:
    """Return when the run started.

    The record keeps how long each case took and not when it began; results begin a
    millisecond apart, so that Allure has one order for them.
    """
    try:
        return round(datetime.fromisoformat(str(report.run.about["started"])).timestamp() * 1000)
    except (KeyError, ValueError):
        return 0


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:32]
