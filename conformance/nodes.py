"""YAML text as a small tree whose every node knows its line.

PyYAML's own composer follows aliases, tags and any depth. This one reads its
events and stops at the first thing that a configuration has no use for, so that
no input costs more than a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT_BYTES = 5_000_000
LIMIT_NODES = 100_000
LIMIT_DEPTH = 32

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, ten times faster


class Malformed(ValueError):  # noqa: N818  the word an error message begins with
    """A file that cannot be used; `str` is `file:line: what; what to do`.

    `line` counts from 1, and is 0 when the whole file is meant.
    """

    def __init__(self, path: Path, line: int, message: str) -> None:
        """Keep path and line for callers that do more than print the sentence."""
        super().__init__(f"{path}:{line}: {message}" if line else f"{path}: {message}")
        self.path, self.line, self.message = path, line, message


@dataclass(frozen=True)
class Scalar:
    """A text; `plain` when it was not quoted."""

    line: int
    text: str
    plain: bool


@dataclass(frozen=True)
class List:
    """A sequence."""

    line: int
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Mapping:
    """Pairs in the order written, repeated keys included."""

    line: int
    pairs: tuple[tuple[Node, Node], ...]


Node: TypeAlias = Scalar | List | Mapping


def read(path: Path) -> str:
    """Return the text of a regular file of at most LIMIT_BYTES bytes; raise Malformed."""
    try:
        if path.exists() and not path.is_file():
            raise Malformed(path, 0, "is not a regular file; name a YAML file")
        with path.open("rb") as file:
            raw = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise Malformed(path, 0, f"cannot be read: {error.strerror}; check the path") from error
    if len(raw) > LIMIT_BYTES:
        raise Malformed(path, 0, f"is larger than {LIMIT_BYTES} bytes; name another file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Malformed(path, line, "is not UTF-8 text; save it as UTF-8") from error


def parse(text: str, path: Path) -> Node:
    """Return the one document of a YAML text; raise Malformed. `path` names it in messages."""
    return _Parser(text, path).document()


class _Parser:
    def __init__(self, text: str, path: Path) -> None:
        self.text, self.path = text, path
        self.nodes = 0
        self.events = self._events()

    def document(self) -> Node:
        node: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if node is not None:
                    raise self._refusal(event, "a second document begins; keep one per file")
                node = self._node(next(self.events), 0)
        if node is None:
            raise Malformed(self.path, 0, "is empty; start from a copy of the file that is shipped")
        return node

    def _events(self) -> Iterator[Any]:
        try:
            yield from yaml.parse(self.text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            message = f"is not YAML: {error.problem}; correct it"
            raise Malformed(self.path, line, message) from error
        except yaml.YAMLError as error:  # a character that YAML does not allow
            raise Malformed(
                self.path, self._forbidden(), "is not text; name a YAML file"
            ) from error

    def _forbidden(self) -> int:
        """Return the line of the first character that is no text, or 0."""
        for number, line in enumerate(self.text.split("\n"), 1):
            if not line.replace("\t", "").replace("\r", "").isprintable():
                return number
        return 0

    def _node(self, event: Any, depth: int) -> Node:  # noqa: ANN401  yaml's events have no types
        self.nodes += 1
        if self.nodes > LIMIT_NODES:
            raise self._refusal(event, f"more than {LIMIT_NODES} values; split the file")
        if depth > LIMIT_DEPTH:
            raise self._refusal(event, f"nested deeper than {LIMIT_DEPTH}; flatten it")
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._refusal(event, "anchors and aliases are refused; write the value out")
        if event.tag is not None:
            raise self._refusal(event, f"the tag {shown(event.tag)} is refused; leave it out")
        line = event.start_mark.line + 1
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(line, event.value, plain=event.implicit[0])
        inner = []
        while not isinstance(child := next(self.events), yaml.CollectionEndEvent):
            inner.append(self._node(child, depth + 1))
        if isinstance(event, yaml.SequenceStartEvent):
            return List(line, tuple(inner))
        return Mapping(line, tuple(zip(inner[::2], inner[1::2], strict=True)))

    def _refusal(self, event: Any, message: str) -> Malformed:  # noqa: ANN401  as above
        return Malformed(self.path, event.start_mark.line + 1, message)


def shown(text: str) -> str:
    """Return hostile or endless text so that it can stand in one line of a terminal."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")  # noqa: PLR2004  part of a line
