"""The pages in a real browser: nothing is fetched, nothing of a cluster's runs, phones fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reports import publish
from tests.reports.browser import needs_chromium, opened
from tests.reports.conftest import poisoned
from tests.reports.synthetic import HOSTILE
from tests.reports.test_publishing import needs_allure

if TYPE_CHECKING:
    from pathlib import Path

    from reports.model import Report

pytestmark = needs_chromium
_LEAF = "[data-testid=tree-leaf]"
_FOLDED = (
    "[data-testid=test-result-step-header],[data-testid=test-result-attachment-header],"
    "[data-testid=test-result-steps-subtree-toggle]"
)


@pytest.fixture(scope="module")
def folder(mixed: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the reports of a run in which every string is hostile."""
    place = tmp_path_factory.mktemp("hostile")
    report = poisoned(mixed, " ".join(one[:400] for one in HOSTILE))
    publish(report.run, report.constitution, place)
    return place / "reports"


@pytest.mark.parametrize("width", [360, 1280])
def test_the_report_asks_for_nothing_and_fits(folder: Path, width: int) -> None:
    with opened(folder / "report.html", width) as page:
        assert page.remote == []
        assert page.complaints == []
        assert page.run("document.title").endswith("conformance report")
        assert page.run("document.documentElement.scrollWidth") <= width
        assert page.run("document.scripts.length + document.images.length") == 0
        assert page.run("getComputedStyle(document.querySelector('h1')).fontWeight") == "700"


@needs_allure
def test_allure_asks_for_nothing_whatever_is_opened(folder: Path) -> None:
    with opened(folder / "allure.html") as page:
        page.settle()
        assert page.run("document.title") == "AI Kernel conformance"
        assert page.run(f"document.querySelectorAll('{_LEAF}').length") > 0
        page.run(f"document.querySelector('{_LEAF}').click()")
        page.settle()
        page.run(f"document.querySelectorAll('{_FOLDED}').forEach(one => one.click())")
        page.settle()
        assert "Test body" in page.run("document.body.innerText")
        assert page.run("document.title") != "owned"
        assert page.remote == []
        assert page.complaints == []


def test_a_page_that_does_ask_is_caught(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<title>bad</title><img src='https://elsewhere.invalid/x.png'>")
    with opened(bad) as page:
        assert page.remote == ["https://elsewhere.invalid/x.png"]


def test_without_a_policy_a_script_would_have_run(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(f"<title>bad</title>{HOSTILE[0]}")
    with opened(bad) as page:
        assert page.run("document.title") == "owned"
