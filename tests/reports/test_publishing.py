"""What `publish` writes: the same bytes for the same run, quickly, with or without Node.js."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from reports import publish, rendering, summary
from reports.rendering import RenderError, hardened
from tests.reports.synthetic import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from reports.model import Report

SCHEMA = json.loads((ROOT / "docs" / "run.schema.json").read_text())
needs_allure = pytest.mark.skipif(
    shutil.which("node") is None or not (ROOT / "node_modules" / "allure").exists(),
    reason="no Allure here (npm ci --ignore-scripts): allure.html was not rendered",
)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    return {str(one.relative_to(folder)): sha256(one.read_bytes()).hexdigest() for one in files}


@pytest.fixture
def without_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("without_node")
def test_without_node_only_allure_html_is_missing_and_says_how_to_get_it(
    mixed: Report, tmp_path: Path
) -> None:
    written = publish(mixed.run, mixed.constitution, tmp_path / "run")
    assert [one.name for one in written] == [
        "report.html",
        "junit.xml",
        "run.json",
        "allure-results",
        "allure.txt",
    ]
    assert all(one.exists() for one in written)
    told = written[-1].read_text()
    assert "npm ci" in told
    assert told.count("\n") == 1
    run = replace(mixed.run, folder=tmp_path / "run")
    assert "npm ci" in summary(run)


@pytest.mark.usefixtures("without_node")
def test_the_same_run_gives_the_same_bytes(mixed: Report, tmp_path: Path) -> None:
    for name in ("one", "two"):
        publish(mixed.run, mixed.constitution, tmp_path / name)
    first, second = digests(tmp_path / "one"), digests(tmp_path / "two")
    excuse = "reports/allure.txt"
    assert {**first, excuse: ""} == {**second, excuse: ""}, "allure.txt names the folder"
    assert len(first) > len(mixed.run.cases)


@pytest.mark.usefixtures("without_node")
def test_publishing_again_leaves_nothing_of_before(mixed: Report, tmp_path: Path) -> None:
    publish(mixed.run, mixed.constitution, tmp_path)
    (tmp_path / "reports" / "allure-results" / "old-result.json").write_text("{}")
    (tmp_path / "reports" / "allure.html").write_text("old")
    publish(mixed.run, mixed.constitution, tmp_path)
    assert not (tmp_path / "reports" / "allure-results" / "old-result.json").exists()
    assert not (tmp_path / "reports" / "allure.html").exists()


@pytest.mark.usefixtures("without_node")
def test_hundreds_of_cases_take_less_than_a_second(mixed: Report, tmp_path: Path) -> None:
    assert len(mixed.run.cases) >= 300
    start = time.process_time()
    publish(mixed.run, mixed.constitution, tmp_path)
    assert time.process_time() - start < 1


@pytest.mark.usefixtures("without_node")
@pytest.mark.parametrize("name", ["mixed", "green", "broken"])
def test_run_json_is_as_published(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    report: Report = request.getfixturevalue(name)
    publish(report.run, report.constitution, tmp_path)
    written = json.loads((tmp_path / "reports" / "run.json").read_text())
    jsonschema.validate(written, SCHEMA)
    assert written == report.run.as_json()


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "fine"},
        {"exit_code": 5},
        {"surprise": 1},
        {"counts": {}},
        {"cases": [{"case": "PG-003"}]},
    ],
)
def test_the_schema_refuses_what_is_no_run(green: Report, change: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**green.run.as_json(), **change}, SCHEMA)


@needs_allure
def test_allure_html_is_the_same_for_the_same_run(mixed: Report, tmp_path: Path) -> None:
    pages = []
    for name in ("one", "two"):
        written = publish(mixed.run, mixed.constitution, tmp_path / name)
        assert written[1].name == "allure.html", written
        pages.append(written[1].read_bytes())
    assert pages[0] == pages[1]


@needs_allure
def test_a_renderer_that_fails_is_said_in_one_sentence(
    mixed: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "cli.js"
    wrong.write_text("console.error('first'); console.error('no such thing'); process.exit(7)")
    monkeypatch.setattr(rendering, "_ALLURE", wrong)
    written = publish(mixed.run, mixed.constitution, tmp_path / "run")
    told = written[-1].read_text()
    assert "Allure ended with 7: no such thing" in told
    assert told.count("\n") == 1


def test_hardening_takes_out_analytics_and_allows_only_what_is_there() -> None:
    page = (
        '<head><meta charset="utf-8"></head><script>one()</script>'
        '<script src="data:text/javascript;base64,dHdvKCc8L3NjcmlwdD4nKQ=="></script>'
        '<script async src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>'
        "<script>\n window.dataLayer = [];</script>"
    )
    made = hardened(page)
    assert "googletagmanager" not in made
    assert "dataLayer" not in made
    assert "two('<\\/script>')" in made
    assert made.count("'sha256-") == 2
    assert "default-src 'none'" in made


@pytest.mark.parametrize(
    "page",
    [
        '<meta charset="utf-8"><script src="https://elsewhere.invalid/a.js"></script>',
        "<script>one()</script>",
    ],
)
def test_a_page_that_cannot_be_hardened_is_refused(page: str) -> None:
    with pytest.raises(RenderError):
        hardened(page)
