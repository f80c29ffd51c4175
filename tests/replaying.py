"""Deciding a case from a world: the control's own test, without pytest, network or clock.

A world is a folder `tests/worlds/<CONTROL>/<adjective>/`:

* `evidence.json`: a list of answers, `{question, taken_at, value | error}`;
* `expected.json`: `{case, outcome, findings: [[subject, claim, outcome], ...]}`, where
  `findings` lists at least what must be found (all that did not pass, when recorded),
  and optionally `allowed` (classes, default read-only and canary);
* `platform.yaml`, optional: what this world's platform declares (default: the lab's;
  `"platform": "map"` in `expected.json`: what the map itself declares).
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fixtures.evidence
from conformance.constitution import Constitution, Control, load_constitution
from conformance.evidence import Answer, Question, Replayer
from conformance.selection import SELECTORS, Case, case_id
from conformance.verdict import Level, Outcome, UndecidedError, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
WORLDS = ROOT / "tests" / "worlds"
LAB = ROOT / "lab" / "platform.yaml"
_TODAY = date(2026, 11, 24)  # no world depends on it: only waivers know the date


class WorldLens(Replayer):
    """Answers from a list of recorded answers."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        """Take the answers of a world, found by their question."""
        super().__init__(Path())
        self._records = {_question(one).path: one for one in records}

    def _read(self, question: Question) -> Answer:
        if question.path not in self._records:
            raise FileNotFoundError(question.path)
        one = self._records[question.path]
        return Answer(question, one["taken_at"], question.path, one.get("value"), one.get("error"))


def _question(record: dict[str, Any]) -> Question:
    return Question(**record["question"])


@dataclass(frozen=True)
class World:
    """One world and what must be found in it."""

    folder: Path
    records: list[dict[str, Any]]
    expected: dict[str, Any]

    @property
    def name(self) -> str:
        """Return `CONTROL/adjective`."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def platform(self) -> Path | None:
        """Return the file that declares this world's platform, None for the map's own section."""
        if self.expected.get("platform") == "map":
            return None
        own = self.folder / "platform.yaml"
        return own if own.exists() else LAB


def worlds() -> Iterator[World]:
    """Yield every world of the repository."""
    for file in sorted(WORLDS.glob("*/*/expected.json")):
        yield load(file.parent)


def load(folder: Path) -> World:
    """Read one world."""
    evidence = json.loads((folder / "evidence.json").read_text(encoding="utf-8"))
    return World(folder, evidence, json.loads((folder / "expected.json").read_text()))


def decide(world: World) -> tuple[Outcome, Verdict]:
    """Run the control's test in a world; return the outcome and the findings."""
    return decide_case(
        world.expected["case"],
        world.records,
        constitution_with(world.platform),
        frozenset(world.expected.get("allowed", ("read-only", "canary"))),
    )


def decide_case(
    name: str, records: list[dict[str, Any]], constitution: Constitution, allowed: frozenset[str]
) -> tuple[Outcome, Verdict]:
    """Decide one case from recorded answers."""
    control = constitution.anything(name.partition("[")[0])
    case = next(
        (
            one
            for one in SELECTORS[control.for_each].of(constitution.platform)
            if case_id(control.id, one) == name
        ),
        None,
    )
    if case is None:
        raise LookupError(f"{name}: the platform of this world declares no such case")
    levels = control.levels if isinstance(control, Control) else ()
    lens = WorldLens(records)
    verdict = Verdict(levels[0] if levels else Level.EFFECTIVE)
    if case.absent:
        return Outcome.NOT_APPLICABLE, verdict
    for component in control.needs.components:
        if reason := constitution.platform.absence(component):
            verdict.undecided(subject=name, claim="can be examined", reason=reason)
            return verdict.settle(), verdict
    test = tests_by_control()[control.id]
    try:
        test(**_arguments(test, case, control.for_each, lens, verdict, constitution, allowed))
    except UndecidedError as undecided:
        verdict.undecided(subject=name, claim="can be examined", reason=undecided.reason)
    return verdict.settle(), verdict


def _arguments(
    test: Callable[..., None],
    case: Case,
    for_each: str,
    lens: WorldLens,
    verdict: Verdict,
    constitution: Constitution,
    allowed: frozenset[str],
) -> dict[str, Any]:
    known: dict[str, Any] = {
        "lens": lens,
        "verdict": verdict,
        "platform": constitution.platform,
        "constitution": constitution,
        "allowed": allowed,
    }
    if SELECTORS[for_each].argument:
        known[SELECTORS[for_each].argument] = case.thing

    def resolve(name: str) -> Any:
        if name not in known:
            made = getattr(fixtures.evidence, name)._get_wrapped_function()  # noqa: SLF001 - the plain function
            known[name] = made(**{one: resolve(one) for one in inspect.signature(made).parameters})
        return known[name]

    return {name: resolve(name) for name in inspect.signature(test).parameters}


@cache
def constitution_with(platform: Path | None) -> Constitution:
    """Load the map with one platform file, or with its own section."""
    return load_constitution(ROOT / "constitution_map.yaml", platform, _TODAY)


@cache
def tests_by_control() -> dict[str, Callable[..., None]]:
    """Return the test function of each control, found by its mark."""
    found: dict[str, Callable[..., None]] = {}
    for file in sorted((ROOT / "suites").rglob("test_*.py")):
        marked = dict(_marked(file))
        if not marked:
            continue
        name = "suites." + ".".join(file.relative_to(ROOT / "suites").with_suffix("").parts)
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ImportError(str(file))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= {control: getattr(module, function) for control, function in marked.items()}
    return found


def _marked(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.control":
                yield ast.literal_eval(mark.args[0]), node.name
