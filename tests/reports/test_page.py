"""`report.html`: complete, self-contained, and deaf to whatever a cluster says."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.verdict import Outcome
from reports.model import Report
from reports.page import html
from tests.reports.conftest import poisoned
from tests.reports.synthetic import HOSTILE
from tests.reports.test_text import ANY

_VOID = {"meta", "rect"}
_WORDS = re.compile(r"\S+")
_ELEMENTS = _WORDS.findall(
    "html head meta title style body header main nav section footer article div p h1 h2 h3 "
    "ul ol li dl dt dd a b i q span code svg rect details summary blockquote"
)
_ATTRIBUTES = _WORDS.findall(
    "lang charset http-equiv content name class id href title open role aria-label aria-hidden "
    "viewbox preserveaspectratio x y width height"
)
_LINK = re.compile(r"#[\w.-]+|\.\./evidence/[\w./%~-]+|allure\.html|junit\.xml|run\.json")


class Parsed(HTMLParser):
    """Reads a page strictly: every element that is opened is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _ELEMENTS, tag
        assert {name for name, _ in attrs} <= set(_ATTRIBUTES), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, attribute: str) -> list[str]:
        return [value for _, found in self.elements if (value := found.get(attribute))]


@pytest.fixture(scope="module")
def page(mixed: Report) -> Parsed:
    return Parsed(html(mixed))


def test_every_link_leads_somewhere_near(page: Parsed) -> None:
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    for link in page.all("href"):
        assert _LINK.fullmatch(link), link
        assert not link.startswith("#") or link[1:] in ids, link


def test_nothing_is_loaded_and_nothing_runs(mixed: Report) -> None:
    text = html(mixed)
    page = Parsed(text)
    (policy,) = (one for one in page.all("content") if "default-src" in one)
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_stay_text(mixed: Report, text: str) -> None:
    page = Parsed(html(poisoned(mixed, text)))
    for link in page.all("href"):
        assert _LINK.fullmatch(link), link
    assert "49" not in page.text.split(), "a template of the cluster's was evaluated"


@settings(max_examples=8, deadline=None)
@given(text=st.one_of(ANY, st.sampled_from(HOSTILE), st.from_regex(r"[<>&\"'{}%#]{1,20}")))
def test_no_string_makes_an_element(mixed: Report, text: str) -> None:
    Parsed(html(poisoned(mixed, text)))


def test_the_verdict_is_in_words(page: Parsed, mixed: Report) -> None:
    cluster = mixed.run.about["cluster"]
    for wanted in (
        "Violated",
        "At least one control is contradicted",
        "whole audit",
        "lab: a reference platform",
        cluster["uid"],
        cluster["version"],
        cluster["context"]["server"],
        "2026-11-24 10:17:31 UTC after 2 min 31 s",
        mixed.run.about["map"],
        "audit (read-only, canary)",
    ):
        assert wanted in page.text, wanted
    for outcome, number in mixed.run.counts.items():
        assert re.search(rf"{number} \S {outcome}", page.text), outcome


def test_partial_and_replayed_runs_say_so(mixed: Report) -> None:
    about = {**mixed.run.about, "whole": False, "replayed": True}
    text = Parsed(html(Report(replace(mixed.run, about=about), mixed.constitution))).text
    assert "cannot stand for a whole audit" in text
    assert "judged again from recorded evidence" in text


def test_every_claim_has_its_quote_and_the_documents_mark(page: Parsed, mixed: Report) -> None:
    ids = page.all("id")
    for one in mixed.constitution.claims:
        assert one.ref in ids
        assert " ".join(one.text.split()) in page.text
        assert f"line {one.line}" in page.text
    assert "the document's own mark: [ ] ✅ done (configured)" in page.text


def test_every_finding_that_failed_is_there(page: Parsed, mixed: Report) -> None:
    for case in mixed.run.cases:
        if case.outcome is Outcome.FAILED:
            for one in case.findings:
                assert f"{one['subject']} {one['claim']}" in page.text
            assert f"to do{case.findings[-1]['advice']}" in page.text


def test_every_case_that_did_not_pass_is_named_with_its_reason(page: Parsed, mixed: Report) -> None:
    for case in mixed.run.cases:
        if case.outcome is not Outcome.PASSED:
            assert case.case in page.text
    for reason in ("not in the lab yet", "403 forbidden", "does not allow the class"):
        assert reason in page.text


def test_contradictions_show_every_line(page: Parsed, mixed: Report) -> None:
    assert len(mixed.constitution.contradictions) == 10
    for one in mixed.constitution.contradictions:
        for quote in one.quotes:
            assert " ".join(f"{quote.line}{quote.text}".split()) in page.text


def test_waivers_show_the_days_left(page: Parsed) -> None:
    assert "10 days left" in page.text
    assert "approved by grace@example.org" in page.text


def test_the_evidence_index_has_every_file(page: Parsed, mixed: Report) -> None:
    assert mixed.exhibits
    for one in mixed.exhibits:
        assert one.href in page.all("href")
        assert one.digest in page.text


def test_all_planned_controls_are_gaps(page: Parsed, mixed: Report) -> None:
    planned = [one for ones in mixed.lacking("planned").values() for one in ones]
    assert f"Controls that are not built yet {len(planned)}" in page.text
    assert all(
        f"{one.control.id} {one.severity} {one.control.title}" in page.text for one in planned
    )


def test_a_green_run_does_not_claim_more_than_it_saw(green: Report) -> None:
    text = Parsed(html(green)).text
    assert "Conformant" in text
    assert "are gaps, and this verdict says nothing about them" in text
    assert "No control was contradicted." in text


def test_a_broken_record_is_a_page_too(broken: Report) -> None:
    text = Parsed(html(broken)).text
    assert "Not whole" in text
    assert "Why this run is not whole" in text
    assert "ledger.jsonl" in text
