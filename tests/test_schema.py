"""What is not exactly what a dataclass asks for is refused, with file, line and what to do."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.schema import Malformed, at, load, loads


class Colour(StrEnum):
    """Anything with words."""

    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Part:
    """A nested one that refuses a value of its own."""

    name: str
    size: int = 1

    def __post_init__(self) -> None:
        """Refuse what a type hint cannot."""
        if self.size < 0:
            raise ValueError("size is negative; write 0 or more")


@dataclass(frozen=True)
class Thing:
    """One of everything that a hint can ask for."""

    text: str
    whole: int = 0
    real: float = 0.0
    loose: bool = False
    day: date | None = None
    colour: Colour = Colour.RED
    parts: tuple[Part, ...] = ()
    pair: tuple[str, str] | None = None
    words: dict[str, str] = field(default_factory=dict)


def test_every_kind_of_value_is_read() -> None:
    text = """\
text: 500m
whole: -3
real: 0.5
loose: true
day: 2027-01-31
colour: blue
parts:
  - name: "on"
  - {name: b, size: 2}
pair: [a, b]
words: {"yes": "no", '1': '2'}
"""
    assert loads(text, "f", Thing) == Thing(
        text="500m",
        whole=-3,
        real=0.5,
        loose=True,
        day=date(2027, 1, 31),
        colour=Colour.BLUE,
        parts=(Part("on"), Part("b", 2)),
        pair=("a", "b"),
        words={"yes": "no", "1": "2"},
    )


def test_null_is_none_only_where_none_is_asked_for() -> None:
    assert loads("text: a\nday: null", "f", Thing).day is None
    with pytest.raises(Malformed, match=r"f:1: thing.text is 'null'"):
        loads("text: null", "f", Thing)


def test_what_was_read_knows_where_it_was_written() -> None:
    thing = loads("text: a\nparts:\n  - name: b\n  - name: c\n    size: 2\n", "some/file", Thing)
    assert at(thing, "parts") == (Path("some/file"), 2)
    assert at(thing.parts[1]) == (Path("some/file"), 4)
    assert at(thing.parts[1], "size") == (Path("some/file"), 5)
    assert at(thing.parts[1], "unwritten") == (Path("some/file"), 4)
    assert at(Part("made in code")) == (Path("code"), 0)


@pytest.mark.parametrize(
    "text",
    [
        *("no", "On", "yes", "off", "TRUE", "null", "~"),
        *("12", "017", "0x1f", "0o17", "1_000", "7.0", ".5", "1e3", ".inf", ".NaN"),
        *("1:30", "2027-01-31", "="),
    ],
)
def test_what_yaml_may_read_as_something_else_must_be_quoted(text: str) -> None:
    with pytest.raises(Malformed, match=r"^f:2: thing.text is .*; quote it$"):
        loads(f"\ntext: {text}", "f", Thing)
    assert loads(f"text: '{text}'", "f", Thing).text == text


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 0, "is empty"),
        ("# nothing\n", 0, "is empty"),
        ("text:\n", 1, "thing.text is empty"),
        ("text: a\ntxet: b\n", 2, "no key 'txet'; did you mean text?"),
        ("text: a\nzzz:\n  - b\n", 2, "no key 'zzz'; it has text, whole"),
        ("text: a\n\ntext: b\n", 3, "already on line 1"),
        ("text: a\nwords:\n  b: c\n  b: d\n", 4, "already on line 3"),
        ("whole: 1\n", 1, "lacks the key text"),
        ("text: a\nparts:\n  - size: 1\n", 3, "thing.parts lacks the key name"),
        ("text: a\nparts:\n  - {name: b, size: -1}\n", 3, "size is negative; write 0 or more"),
        ("text: [a]\n", 1, "thing.text is a list; write text"),
        ("text: a\nwhole: 1.5\n", 2, "'1.5'; write a whole number"),
        ("text: a\nwhole: 010\n", 2, "write a whole number"),
        ("text: a\nwhole: '1'\n", 2, "write a whole number"),
        ("text: a\nwhole: 99999999999999999999\n", 2, "write a whole number"),
        ("text: a\nreal: .nan\n", 2, "write a number"),
        ("text: a\nloose: no\n", 2, "thing.loose is 'no'; write true or false"),
        ("text: a\nloose: 'true'\n", 2, "write true or false"),
        ("text: a\nday: 2027-02-30\n", 2, "write a date"),
        ("text: a\nday: 31.1.2027\n", 2, "write a date"),
        ("text: a\ncolour: green\n", 2, "write one of red, blue"),
        ("text: a\nparts: b\n", 2, "write a list"),
        ("text: a\npair: [b]\n", 2, "write a list of 2"),
        ("text: a\nwords: [b]\n", 2, "write keys with values"),
        ("text: a\nwords: {no: b}\n", 2, "a key of thing.words is 'no'"),
        ("text: a\nwords: {b: 1}\n", 2, "thing.words.b is '1'"),
        ("text: a\nwords: {[b]: c}\n", 2, "a key of thing.words is a list"),
        ("text: a\n<<: {whole: 1}\n", 2, "'<<'"),
        ("- text: a\n", 1, "thing is a list; write keys with values"),
        ("text: &a b\n", 1, "aliases are refused"),
        ("text: a\nwords:\n  b: *a\n", 3, "aliases are refused"),
        ("text: !!python/object:os.system a\n", 1, "the tag"),
        ("text: a\n---\ntext: b\n", 2, "second document"),
        ("text: a\n\tb: c\n", 2, "is not YAML"),
        ("text: a\nparts: [\n", 3, "is not YAML"),
        ("text: a\nparts: \x00\n", 2, "is not text"),
        ("text: \x1b[31mred\n", 1, "is not text"),
    ],
)
def test_malformed_text_is_refused_where_it_stands(text: str, line: int, words: str) -> None:
    with pytest.raises(Malformed) as caught:
        loads(text, "a/map.yaml", Thing)
    assert (caught.value.path, caught.value.line) == (Path("a/map.yaml"), line)
    assert words in caught.value.message
    assert str(caught.value).startswith(f"a/map.yaml:{line}: " if line else "a/map.yaml: ")
    assert "; " in str(caught.value), "a refusal says what to do"


BOMBS = {
    "aliases": "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
    "lists in lists": "[" * 1_000_000,
    "mappings in mappings": "{" * 1_000_000,
    "lists by indentation": "- " * 1_000_000,
    "many values": "- a\n" * 1_200_000,
    "many values in a flow": "[" + "a," * 2_400_000 + "]",
    "many lines in one value": "text: " + "a\n " * 1_600_000,
    "one long value": "x" * 4_900_000,
    "one long key": "x" * 4_900_000 + ": a",
    "many comments": "# a\n" * 1_200_000,
    "quotes": "'" * 4_900_000,
    "escapes": 'whole: "' + "\\u00e9" * 800_000 + '"',
    "documents": "--- a\n" * 800_000,
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    try:
        loads(text, "bomb", Thing)
    except Malformed as error:
        assert len(str(error)) < 300  # noqa: PT017 - both ends are fine, an endless one is not
    assert time.process_time() - began < 1


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        loads(text, "fuzz", Thing)
    except Malformed as error:
        assert str(error).isprintable()  # noqa: PT017 - both ends are fine, a crash is not


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    large, binary, pipe = tmp_path / "large", tmp_path / "binary", tmp_path / "pipe"
    large.write_bytes(b"# 5 MB\n" + b" " * 5_000_000)
    binary.write_bytes(b"text: a\nwords: \xff\xfe\x00\n")
    os.mkfifo(pipe)
    for path, line, words in (
        (tmp_path / "absent.yaml", 0, "No such file"),
        (tmp_path, 0, "not a regular file"),
        (pipe, 0, "not a regular file"),
        (large, 0, "is larger than 5000000 bytes"),
        (binary, 2, "is not UTF-8"),
    ):
        with pytest.raises(Malformed, match=words) as caught:
            load(path, Thing)
        assert caught.value.line == line


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbftext: a\r\n")
    assert load(path, Thing) == Thing("a")
