"""YAML read strictly into frozen dataclasses, every complaint with file and line.

A configuration that is misread is worse than one that is refused, so nothing is
guessed: no YAML 1.1 booleans (`no`, `on`), no date or number where text is asked
for, no unknown or repeated keys. What a file may say is written down once, as
the type hints of a dataclass: str, int, float, bool, date, StrEnum, `X | None`,
`tuple[X, ...]`, `dict[str, X]` and dataclasses of these. A dataclass may refuse
its values with ValueError in `__post_init__`.
"""

from __future__ import annotations

import dataclasses
import re
import types
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Union, get_args, get_origin
from typing import get_type_hints as hints_of

import yaml
from yaml.resolver import Resolver

from conformance.nodes import List, Malformed, Mapping, Node, Scalar, parse, read, shown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Malformed", "at", "load", "loads", "read"]

T = TypeVar("T")


class _Form(NamedTuple):
    """How a scalar that is no text is written."""

    pattern: re.Pattern[str]
    make: Callable[[str], Any]
    asked: str


_FORMS: dict[type, _Form] = {
    bool: _Form(re.compile("true|false"), lambda text: text == "true", "true or false"),
    int: _Form(re.compile(r"0|-?[1-9][0-9]{0,17}"), int, "a whole number"),
    float: _Form(re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?"), float, "a number like 0.5"),
    date: _Form(
        re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}"), date.fromisoformat, "a date like 2027-01-31"
    ),
}
# YAML 1.2 has numbers that the 1.1 resolver of PyYAML takes for text: 1e3, 0o17.
_NUMBER = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|0o[0-7]+")
_RESOLVER: Any = Resolver()  # untyped


def load(path: Path, into: type[T]) -> T:
    """Read the YAML file `path` as the dataclass `into`; raise Malformed."""
    return loads(read(path), path, into)


def loads(text: str, name: str | Path, into: type[T]) -> T:
    """Read YAML text as the dataclass `into`; `name` stands for the file in messages."""
    path = Path(name)
    made: T = _Reader(path).convert(parse(text, path), into, into.__name__.lower())
    return made


def at(thing: object, key: str = "") -> tuple[Path, int]:
    """Return file and line where a loaded dataclass (or one of its keys) was written.

    What was made in code was written nowhere: `(Path("code"), 0)`.
    """
    path, lines = getattr(thing, "_written", (Path("code"), {"": 0}))
    return path, lines.get(key, lines[""])


class _Reader:
    """Turns nodes into what a hint asks for; `where` names the place in messages."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def convert(self, node: Node, hint: Any, where: str) -> Any:  # noqa: ANN401  any hint
        if get_origin(hint) in (Union, types.UnionType):
            if isinstance(node, Scalar) and node.plain and node.text == "null":
                return None
            (inner,) = (one for one in get_args(hint) if one is not types.NoneType)
            return self.convert(node, inner, where)
        if get_origin(hint) is tuple:
            return self._tuple(node, get_args(hint), where)
        if get_origin(hint) is dict:
            pairs = self._pairs(node, where)
            inner = get_args(hint)[1]
            return {
                key: self.convert(one, inner, f"{where}.{key}") for key, (_, one) in pairs.items()
            }
        if dataclasses.is_dataclass(hint):
            return self._dataclass(node, hint, where)
        return self._text(node, where) if hint is str else self._scalar(node, hint, where)

    def _tuple(self, node: Node, hints: tuple[Any, ...], where: str) -> tuple[Any, ...]:
        fixed = hints[-1] is not Ellipsis
        if not isinstance(node, List) or (fixed and len(node.items) != len(hints)):
            raise self._wrong(node, where, f"a list of {len(hints)}" if fixed else "a list")
        return tuple(self.convert(one, hints[0], where) for one in node.items)

    def _dataclass(self, node: Node, hint: Any, where: str) -> Any:  # noqa: ANN401  any dataclass
        pairs, hints = self._pairs(node, where), _hints(hint)
        for key, (line, _) in pairs.items():
            if key not in hints:
                near = get_close_matches(key[:40], hints, n=1)
                advice = f"did you mean {near[0]}?" if near else f"it has {', '.join(hints)}"
                raise Malformed(self.path, line, f"{where} has no key {shown(key)}; {advice}")
        for field in dataclasses.fields(hint):
            required = field.default is field.default_factory is dataclasses.MISSING
            if required and field.name not in pairs:
                raise Malformed(self.path, node.line, f"{where} lacks the key {field.name}; add it")
        values = {
            key: self.convert(one, hints[key], f"{where}.{key}") for key, (_, one) in pairs.items()
        }
        try:
            made = hint(**values)
        except ValueError as error:
            raise Malformed(self.path, node.line, f"{where}: {error}") from error
        # Beside the fields, not among them: equality, repr and asdict stay what they are.
        lines = {"": node.line} | {key: line for key, (line, _) in pairs.items()}
        object.__setattr__(made, "_written", (self.path, lines))
        return made

    def _pairs(self, node: Node, where: str) -> dict[str, tuple[int, Node]]:
        if not isinstance(node, Mapping):
            raise self._wrong(node, where, "keys with values")
        pairs: dict[str, tuple[int, Node]] = {}
        for key_node, value in node.pairs:
            key = self._text(key_node, f"a key of {where}")
            if key in pairs:
                message = f"{where} has {shown(key)} already on line {pairs[key][0]}; keep one"
                raise Malformed(self.path, key_node.line, message)
            pairs[key] = key_node.line, value
        return pairs

    def _text(self, node: Node, where: str) -> str:
        if not isinstance(node, Scalar):
            raise self._wrong(node, where, "text")
        tag = _RESOLVER.resolve(yaml.ScalarNode, node.text, (True, False))
        if node.plain and (tag != "tag:yaml.org,2002:str" or _NUMBER.fullmatch(node.text)):
            found = shown(node.text) if node.text else "empty"
            message = f"{where} is {found}, which YAML may not read as text; quote it"
            raise Malformed(self.path, node.line, message)
        return node.text

    def _scalar(self, node: Node, hint: Any, where: str) -> Any:  # noqa: ANN401  any scalar type
        if issubclass(hint, StrEnum):
            if isinstance(node, Scalar) and node.text in set(hint):
                return hint(node.text)
            raise self._wrong(node, where, f"one of {', '.join(hint)}")
        form = _FORMS[hint]
        if isinstance(node, Scalar) and node.plain and form.pattern.fullmatch(node.text):
            try:
                return form.make(node.text)
            except ValueError:  # 2026-02-30
                pass
        raise self._wrong(node, where, form.asked)

    def _wrong(self, node: Node, where: str, asked: str) -> Malformed:
        found = shown(node.text) if isinstance(node, Scalar) else f"a {type(node).__name__.lower()}"
        return Malformed(self.path, node.line, f"{where} is {found}; write {asked}")


@cache
def _hints(of: Any) -> dict[str, Any]:  # noqa: ANN401  any dataclass
    named = hints_of(of)
    return {field.name: named[field.name] for field in dataclasses.fields(of) if field.init}
