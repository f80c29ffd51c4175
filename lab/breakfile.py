"""The files of lab/breaks: what they may contain, and a precise refusal of everything else.

The format is described for authors in lab/breaks/README.md.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from lab import layout, steps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

DIRECTORY = layout.SOURCE / "breaks"
UNTIL_SECONDS = 60.0
KEYS = ("control", "breaks", "break", "mend", "needs_settle", "also_red")
STEP_KEYS = ("kubectl", "until", "stdin", "save", "expect", "contains", "within")
CONTROL = re.compile(r"[A-Z]+(-[A-Z]+)*-\d+")
SECONDS = re.compile(r"(\d+)s")
VARIABLE = re.compile(r"\{\{(\w+)\}\}")


class BreakFileError(steps.StepError):
    """A file of lab/breaks is malformed; the text names file, line and key."""


@dataclass(frozen=True)
class Step:
    """One kubectl command: run once, or (`until`) repeated until it succeeds as expected.

    `save` names a variable that keeps the output; `{{name}}` in later words and
    inputs stands for it. `within` is in seconds.
    """

    words: tuple[str, ...]
    line: int
    until: bool = False
    stdin: str | None = None
    save: str | None = None
    expect: str | None = None
    contains: str | None = None
    within: float = UNTIL_SECONDS


@dataclass(frozen=True)
class Break:
    """The smallest violation of one control, and the way back."""

    control: str
    breaks: str
    steps: tuple[Step, ...]
    mend: tuple[Step, ...]
    needs_settle: bool = False
    also_red: tuple[str, ...] = ()


def controls(directory: Path = DIRECTORY) -> list[str]:
    """Return the controls that have a break, in order."""
    return sorted(file.stem for file in directory.glob("*.yaml"))


def load(control: str, directory: Path = DIRECTORY) -> Break:
    """Return the break of a control; raise BreakFileError when there is none or it is malformed."""
    if control not in controls(directory):
        known = ", ".join(controls(directory)) or "none"
        raise BreakFileError(f"there is no break for {control!r}; there are: {known}")
    return parse((directory / f"{control}.yaml").read_text(), f"breaks/{control}.yaml", control)


def parse(text: str, file: str, control: str) -> Break:
    """Return what a file says; raise BreakFileError naming file, line and key."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BreakFileError(f"{file}:{line}: no YAML: {error.problem}") from error
    if root is None:
        raise BreakFileError(f"{file}:1: the file is empty")
    table = _Table.of(root, file, KEYS)
    if table.string("control") != control:
        raise table.refusal("control", f"must be {control}, as the file is called")
    others = table.items("also_red") if "also_red" in table.nodes else []
    red = tuple(_string(node, file, "also_red") for node in others)
    for other in red:
        if not CONTROL.fullmatch(other) or other == control:
            raise table.refusal("also_red", f"{other!r} is not the id of another control")
    known: set[str] = set()
    return Break(
        control=control,
        breaks=table.string("breaks"),
        steps=tuple(_steps(table, "break", known)),
        mend=tuple(_steps(table, "mend", known)),
        needs_settle=table.one("needs_settle", "true", "false") == "true",
        also_red=red,
    )


def _steps(table: _Table, key: str, known: set[str]) -> Iterator[Step]:
    """Yield the steps of a list; `known` gathers the variables saved so far, also for `mend`."""
    nodes = table.items(key)
    if not nodes:
        raise table.refusal(key, "needs at least one step")
    for node in nodes:
        step = _step(_Table.of(node, table.file, STEP_KEYS))
        for name in VARIABLE.findall(" ".join((*step.words, step.stdin or ""))):
            if name not in known:
                at = f"{table.file}:{step.line}"
                raise BreakFileError(f"{at}: nothing before saves {{{{{name}}}}}")
        if step.save:
            known.add(step.save)
        yield step


def _step(table: _Table) -> Step:
    until = "until" in table.nodes
    if until == ("kubectl" in table.nodes):
        raise table.refusal(None, "a step is either `kubectl` or `until`")
    if not until:
        for key in {"expect", "contains", "within"} & table.nodes.keys():
            raise table.refusal(key, "belongs to `until`, not to `kubectl`")
    if {"expect", "contains"} <= table.nodes.keys():
        raise table.refusal("contains", "either `expect`, the whole output, or `contains`, a part")
    key = "until" if until else "kubectl"
    try:
        words = tuple(shlex.split(table.string(key)))
    except ValueError as error:
        raise table.refusal(key, f"the words cannot be told apart: {error}") from error
    if not words or words[0] == "kubectl":
        raise table.refusal(key, "the arguments of kubectl, without `kubectl` itself")
    within = table.optional("within")
    if within is not None and not SECONDS.fullmatch(within):
        raise table.refusal("within", "seconds, such as 60s")
    return Step(
        words=words,
        line=table.line,
        until=until,
        stdin=table.optional("stdin"),
        save=table.optional("save"),
        expect=table.optional("expect", empty=True),
        contains=table.optional("contains"),
        within=float(within[:-1]) if within else UNTIL_SECONDS,
    )


@dataclass(frozen=True)
class _Table:
    """A mapping of the file that remembers where its keys stand."""

    file: str
    line: int
    nodes: dict[str, yaml.Node]

    @classmethod
    def of(cls, node: yaml.Node, file: str, allowed: Collection[str]) -> _Table:
        """Return a mapping with known keys, each there once; raise BreakFileError otherwise."""
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            raise BreakFileError(f"{file}:{line}: keys and values are expected here")
        nodes: dict[str, yaml.Node] = {}
        for key, value in node.value:
            at = f"{file}:{key.start_mark.line + 1}"
            if key.value not in allowed:
                known = ", ".join(allowed)
                raise BreakFileError(f"{at}: unknown key {key.value!r}; known: {known}")
            if key.value in nodes:
                raise BreakFileError(f"{at}: {key.value!r} stands here twice")
            nodes[key.value] = value
        return cls(file, line, nodes)

    def refusal(self, key: str | None, why: str) -> BreakFileError:
        """Return the error for a key (or the mapping) at its line."""
        node = self.nodes.get(key) if key else None
        line = node.start_mark.line + 1 if node else self.line
        return BreakFileError(f"{self.file}:{line}: {f'{key}: ' if key else ''}{why}")

    def _node(self, key: str) -> yaml.Node:
        if key not in self.nodes:
            raise self.refusal(None, f"the key `{key}` is missing")
        return self.nodes[key]

    def string(self, key: str, *, empty: bool = False) -> str:
        """Return a text."""
        return _string(self._node(key), self.file, key, empty=empty)

    def optional(self, key: str, *, empty: bool = False) -> str | None:
        """Return a text, or None where the key is not there."""
        return self.string(key, empty=empty) if key in self.nodes else None

    def one(self, key: str, *words: str) -> str:
        """Return one of the given words."""
        word = self.string(key)
        if word not in words:
            raise self.refusal(key, " or ".join(words))
        return word

    def items(self, key: str) -> list[yaml.Node]:
        """Return the nodes of a list."""
        node = self._node(key)
        if not isinstance(node, yaml.SequenceNode):
            raise self.refusal(key, "a list is expected")
        return list(node.value)


def _string(node: yaml.Node, file: str, key: str, *, empty: bool = False) -> str:
    if not isinstance(node, yaml.ScalarNode) or not (node.value.strip() or empty):
        raise BreakFileError(f"{file}:{node.start_mark.line + 1}: {key}: a text is expected")
    return str(node.value)
