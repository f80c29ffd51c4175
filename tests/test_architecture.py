"""Who may import whom, and what may stand where."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CLIENTS = {
    "elasticsearch", "grpc", "hvac", "kafka", "kubernetes", "neo4j", "psycopg", "redis",
    "requests", "urllib3", "websocket", "cryptography",
}  # fmt: skip
STANDARD = set(sys.stdlib_module_names)
NETWORK = {"socket", "ssl", "http", "urllib.request", "subprocess", "asyncio", "selectors"}
CLOCK = {"time"}
COMMANDS = {"conformance/cli.py", "conformance/commands"}


def files(*folders: str) -> list[Path]:
    return sorted(one for folder in folders for one in (ROOT / folder).rglob("*.py"))


def imports(file: Path, *, of_types: bool = False) -> set[str]:
    """Return what a file imports, as dotted names; `if TYPE_CHECKING` blocks only if asked."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    if not of_types:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                skipped |= {inner for one in node.body for inner in ast.walk(one)}
    names: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def top(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", files("suites"), ids=relative)
def test_suites_import_views_and_pytest_only(file: Path) -> None:
    names = imports(file)
    assert top(names) <= {"__future__", "typing", "collections", "conformance", "pytest"}
    assert not {
        one for one in names if one.startswith(("conformance.live", "conformance.commands"))
    }


@pytest.mark.parametrize("file", files("fixtures"), ids=relative)
def test_fixtures_hold_no_judgement(file: Path) -> None:
    assert top(imports(file)) <= STANDARD | {"conformance", "fixtures", "pytest"}
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize(
    "file",
    [
        one
        for one in files("conformance")
        if "live" not in one.parts and not relative(one).startswith(tuple(COMMANDS))
    ],
    ids=relative,
)
def test_the_core_is_pure(file: Path) -> None:
    names = imports(file)
    assert top(names) <= STANDARD | {"__future__", "conformance", "yaml"}
    assert not {one for one in names if one.startswith(tuple(NETWORK | CLOCK))}
    assert not {one for one in names if one.startswith("conformance.live")}
    assert "datetime.now" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", files("reports"), ids=relative)
def test_reports_are_pure(file: Path) -> None:
    names = imports(file)
    assert top(names) <= STANDARD | {"__future__", "conformance", "reports", "jinja2", "markupsafe"}
    assert not {one for one in names if one.startswith("conformance.live")}
    assert "datetime.now" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", files("lab"), ids=relative)
def test_the_lab_knows_nothing_of_the_suite(file: Path) -> None:
    allowed = STANDARD | {"__future__", "lab", "yaml", "cryptography"}
    assert top(imports(file, of_types=True)) <= allowed


@pytest.mark.parametrize(
    "file",
    [
        one
        for one in files("conformance", "suites", "fixtures", "reports")
        if "live" not in one.parts
    ],
    ids=relative,
)
def test_client_libraries_stay_in_live(file: Path) -> None:
    assert not top(imports(file)) & CLIENTS


def test_starting_up_imports_no_client_library() -> None:
    code = (
        "import sys, conformance.cli, fixtures.platform, fixtures.verdict, fixtures.evidence\n"
        f"print(sorted(set(sys.modules) & {CLIENTS!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


FORBIDDEN = re.compile(
    r"pytest\.(skip|xfail|importorskip)|time\.sleep|datetime\.now"
    r"|except Exception|except:|\bassert\b"
)


@pytest.mark.parametrize("file", files("suites"), ids=relative)
def test_suites_neither_skip_nor_wait_nor_swallow(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    code = file.read_text(encoding="utf-8")
    for text in texts:
        code = code.replace(str(text.value), "")
    assert not FORBIDDEN.search(code)


def test_every_test_of_a_control_says_why() -> None:
    silent = [
        f"{relative(file)}:{node.name}"
        for file in files("suites")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent
