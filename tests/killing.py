"""Claims forced to hold, one at a time: a world must notice each.

A control whose claim can be made true without any world turning wrong is a
control that cannot fail, as far as its worlds show.
"""

from __future__ import annotations

import ast
import importlib.util
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests import replaying
from tests.replaying import ROOT, WORLDS, World, decide, worlds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path
    from types import ModuleType

_FORCED = {"expect": 0, "given": 0}


@dataclass(frozen=True)
class Mutant:
    """One claim of a suite file, forced to hold."""

    file: Path
    line: int
    controls: tuple[str, ...]
    caught_by: str | None

    def __str__(self) -> str:
        """Return where the claim stands and who noticed."""
        place = f"{self.file.relative_to(ROOT)}:{self.line}"
        return f"{place} {'caught by ' + self.caught_by if self.caught_by else 'SURVIVED'}"


def mutants(control: str) -> Iterator[Mutant]:
    """Force each claim that the control's test makes, its helpers' too, and look who notices."""
    file = next(f for f, marks in _files() if control in marks)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    test = next(n for n in functions.values() if control in _marks(n))
    reached = _reached(test, functions)
    own = [world for world in worlds() if world.folder.parent.name == control]
    for call in _claims(reached):
        forced = _forced(call)
        try:
            caught = _caught(file, tree, control, test.name, own)
        finally:
            call.args[0] = forced
        yield Mutant(file, call.lineno, (control,), caught)


def record(control: str, found: list[Mutant], day: date) -> None:
    """Write `killed.json` beside the worlds, where every mutant was caught."""
    path = WORLDS / control / "killed.json"
    if found and all(one.caught_by for one in found):
        path.write_text(json.dumps({"mutants": len(found), "on": str(day)}) + "\n")
    else:
        path.unlink(missing_ok=True)


def _forced(call: ast.Call) -> ast.expr:
    before = call.args[0]
    call.args[0] = ast.copy_location(ast.Constant(value=True), before)
    return before


def _files() -> Iterator[tuple[Path, set[str]]]:
    for file in sorted((ROOT / "suites").rglob("test_*.py")):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        yield file, {m for n in body if isinstance(n, ast.FunctionDef) for m in _marks(n)}


def _marks(node: ast.FunctionDef) -> set[str]:
    return {
        ast.literal_eval(mark.args[0])
        for mark in node.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.control"
    }


def _reached(test: ast.FunctionDef, functions: dict[str, ast.FunctionDef]) -> list[ast.FunctionDef]:
    found, waiting = [], [test]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.append(one)
        names = {n.id for n in ast.walk(one) if isinstance(n, ast.Name)}
        waiting += [functions[name] for name in names & set(functions)]
    return found


def _claims(functions: list[ast.FunctionDef]) -> list[ast.Call]:
    return [
        node
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _FORCED
        and ast.unparse(node.func.value).startswith("verdict")
        and node.args
    ]


def _caught(file: Path, tree: ast.Module, control: str, test: str, own: list[World]) -> str | None:
    known = replaying.tests_by_control()
    original = known[control]
    known[control] = getattr(_module(file, tree), test)
    try:
        return next((one.name for one in own if not _as_expected(one)), None)
    finally:
        known[control] = original


def _module(file: Path, tree: ast.Module) -> ModuleType:
    spec = importlib.util.spec_from_loader("mutant", loader=None)
    if spec is None:
        raise ImportError(str(file))
    module = importlib.util.module_from_spec(spec)
    exec(compile(tree, str(file), "exec"), module.__dict__)  # noqa: S102 - our own suite, changed
    return module


def _as_expected(world: World) -> bool:
    try:
        outcome, verdict = decide(world)
    except Exception:  # noqa: BLE001 - a mutant that breaks is noticed too
        return False
    found = [[one.subject, one.claim, str(one.outcome)] for one in verdict.findings]
    wanted = world.expected.get("findings", [])
    return str(outcome) == world.expected["outcome"] and all(one in found for one in wanted)
