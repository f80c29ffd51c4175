"""What the repository holds for each control: its test, worlds, break and kill record."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Test:
    """Where the test of a control stands, and what its docstring says."""

    file: str
    line: int
    text: str


def tests(root: Path) -> dict[str, Test]:
    """Return the test of each control, found by its mark below `suites/`."""
    found: dict[str, Test] = {}
    for file in sorted((root / "suites").rglob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                for mark in node.decorator_list:
                    if (
                        isinstance(mark, ast.Call)
                        and ast.unparse(mark.func) == "pytest.mark.control"
                    ):
                        name = ast.literal_eval(mark.args[0])
                        found[name] = Test(str(file.relative_to(root)), node.lineno, text)
    return found


def worlds(root: Path, control: str) -> list[str]:
    """Return the adjectives of a control's worlds."""
    return sorted(
        one.parent.name for one in (root / "tests/worlds" / control).glob("*/expected.json")
    )


def break_file(root: Path, control: str) -> Path | None:
    """Return the file that breaks a control in the lab, if there is one."""
    path = root / "lab" / "breaks" / f"{control}.yaml"
    return path if path.is_file() else None


def killed(root: Path, control: str) -> str | None:
    """Return the day on which mutants of the control were last caught by its worlds."""
    path = root / "tests/worlds" / control / "killed.json"
    try:
        day: str = json.loads(path.read_text(encoding="utf-8"))["on"]
    except FileNotFoundError:
        return None
    return day
