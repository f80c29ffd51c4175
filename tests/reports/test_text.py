"""Nothing that a cluster says is invisible, endless or executable."""

from __future__ import annotations

import unicodedata
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from hypothesis import given
from hypothesis import strategies as st

from reports.text import counted, line, shown

ANY = st.text(alphabet=st.characters(codec=None, categories=None), max_size=200)


@given(ANY)
def test_what_is_shown_has_no_invisible_character(text: str) -> None:
    for one in shown(text):
        assert one in "\n\t" or unicodedata.category(one) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(ANY)
def test_what_is_shown_is_utf8_and_xml(text: str) -> None:
    told = shown(text)
    assert told.encode().decode() == told
    assert (ET.fromstring(f"<a>{escape(told)}</a>").text or "") == told  # noqa: S314 - our own


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"]), max_size=80))
def test_what_is_visible_stays_as_it_is(text: str) -> None:
    assert shown(text) == text


def test_a_cut_is_counted() -> None:
    assert shown("a" * 262_144, 10) == "aaaaaaaaaa… (262134 more characters)"


def test_direction_is_shown_by_its_code() -> None:
    assert shown("user\u202egnp.exe") == "user⟨U+202E⟩gnp.exe"


def test_a_line_is_one_line() -> None:
    assert line("a\nb\t c\r\n") == "a b c⟨U+000D⟩"


def test_plurals() -> None:
    assert [counted(n, "case") for n in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]
