"""Runs to report on, made once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from reports.model import Report
from tests.reports.synthetic import GOOD, MIXED, make

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.constitution import Constitution
    from conformance.judgement import Run


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Return a run with every outcome, a waiver and hostile strings."""
    return Report(*make(tmp_path_factory.mktemp("mixed") / "run", MIXED))


@pytest.fixture(scope="session")
def green(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Return a run in which everything that is built holds."""
    return Report(*make(tmp_path_factory.mktemp("green") / "run", GOOD))


@pytest.fixture(scope="session")
def broken(green: Report, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Return what the engine makes of a run without a ledger."""
    return Report(*judged_without_ledger(green, tmp_path_factory.mktemp("broken")))


def judged_without_ledger(report: Report, folder: Path) -> tuple[Run, Constitution]:
    """Judge an empty folder."""
    from conformance.judgement import judge

    return judge(folder, report.constitution), report.constitution


def poisoned(report: Report, text: str) -> Report:
    """Return the report of the same run with `text` wherever a cluster or a person can write."""
    run = report.run
    cases = []
    for case in run.cases[:40]:
        told = ("subject", "claim", "expected", "observed", "advice", "note")
        findings = tuple({**one, **dict.fromkeys(told, text)} for one in case.findings)
        subject = f"{case.subject}{text}"
        cases.append(
            replace(case, case=f"{case.control}[{subject}]", subject=subject, reason=text,
                    notes=(text,), findings=findings)
        )  # fmt: skip
    cluster = {"uid": text, "version": text, "context": {"server": text}, "seen": text}
    about = {**run.about, "cluster": cluster, "platform": text, "run": text}
    waivers = tuple(
        replace(one, reason=text, owner=text, approved_by=f"{text}!", ticket=text)
        for one in report.constitution.waivers
    )
    poisoned_run = replace(run, about=about, cases=tuple(cases), problems=(text,))
    return Report(poisoned_run, replace(report.constitution, waivers=waivers))
