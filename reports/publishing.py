"""Writing the reports of a run below its folder."""

from __future__ import annotations

import shutil
from datetime import datetime
from typing import TYPE_CHECKING

from conformance.evidence import canonical, write_whole
from reports import allure, junit, page
from reports.model import Report
from reports.rendering import RenderError, render

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.constitution import Constitution
    from conformance.judgement import Run

FOLDER = "reports"
EXCUSE = "allure.txt"


def publish(
    run: Run, constitution: Constitution, folder: Path, *, allure_page: bool = True
) -> tuple[Path, ...]:
    """Write every report of `run` below `folder`/reports; return the paths.

    The same run gives the same bytes. Where Node.js or Allure is missing, all but
    `allure.html` is written, and `allure.txt` says how to get it. Without `allure_page`
    only Allure's results are written.

    Raises:
        OSError: where the disk does not take a file.
    """
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    if run.withheld:
        write_whole(place / "run.json", canonical(run.as_json()) + "\n")
        return (place / "run.json",)
    report = Report(run, constitution)
    texts = {
        "report.html": page.html(report),
        "junit.xml": junit.xml(report),
        "run.json": canonical(run.as_json()) + "\n",
    }
    for name, text in texts.items():
        write_whole(place / name, text)
    results = _replaced(place / "allure-results", allure.results(report))
    written = [*(place / name for name in texts), results]
    for name in ("allure.html", EXCUSE):
        (place / name).unlink(missing_ok=True)
    if not allure_page:
        return tuple(written)
    try:
        render(results, place / "allure.html", _milliseconds(run))
    except RenderError as error:
        write_whole(place / EXCUSE, f"{error}\n")
        written.append(place / EXCUSE)
    else:
        written.insert(1, place / "allure.html")
    return tuple(written)


def _replaced(folder: Path, files: dict[str, str]) -> Path:
    """Write `files` into a new folder that takes the place of an earlier one."""
    partial = folder.with_name(f".{folder.name}")
    for one in (partial, folder):
        shutil.rmtree(one, ignore_errors=True)
    partial.mkdir()
    for name, text in files.items():
        (partial / name).write_text(text, encoding="utf-8")
    return partial.replace(folder)


def _milliseconds(run: Run) -> int:
    try:
        return round(datetime.fromisoformat(run.ended).timestamp() * 1000)
    except ValueError:
        return 0
