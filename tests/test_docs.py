"""What the documentation says is run, or compared with what the programs say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from conformance.cli import COMMANDS
from conformance.commands.common import MAP
from conformance.commands.coverage import table
from conformance.judgement import CONFORMANT, NOT_WHOLE, UNDECIDED, USAGE, VIOLATED
from conformance.verdict import Outcome
from tests.miniature import SELF_CHECK, Miniature, build, serve_api
from tests.replaying import LAB, constitution_with

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import ThreadingHTTPServer

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/adding-a-control.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found.group(1)


@pytest.fixture
def api() -> Iterator[ThreadingHTTPServer]:
    items = [
        {"metadata": {"name": "one", "labels": {"owner": "data"}}},
        {"metadata": {"name": "two", "annotations": {}}},
    ]
    listed = {"kind": "NamespaceList", "metadata": {}, "items": items}
    server = serve_api({"/api/v1/namespaces": listed})
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def project(tmp_path: Path, api: ThreadingHTTPServer) -> Miniature:
    return build(tmp_path / "project", api)


def test_the_guide_to_a_control_works_as_it_stands(project: Miniature) -> None:
    (entry,) = yaml.safe_load(block("yaml"))
    project.map(entry)
    project.suite(SELF_CHECK + block("python"))
    done = project.audit("--json")
    outcomes = {one["case"]: one["outcome"] for one in project.entries()[1:-1]}
    assert outcomes == {"H-03": "passed", "EXA-001[one]": "passed", "EXA-001[two]": "failed"}
    assert "kubectl label namespace two owner=TEAM" in done.stdout


def test_every_outcome_and_code_is_explained() -> None:
    text = (ROOT / "docs/outcomes.md").read_text(encoding="utf-8")
    for outcome in Outcome:
        assert f"| {outcome} |" in text
    for code in (CONFORMANT, VIOLATED, NOT_WHOLE, UNDECIDED, USAGE):
        assert f"| {code} |" in text


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"`conformance {name}" in readme


def test_the_coverage_table_is_as_generated() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- coverage -->\n(.*?)\n<!-- end -->", readme, re.DOTALL)
    assert found, "README.md has no coverage table"
    assert found.group(1) == table(constitution_with(LAB)), "run: make table"


def test_the_map_is_where_commands_look_for_it() -> None:
    assert MAP.is_file()


@pytest.mark.parametrize("file", sorted(ROOT.glob("docs/**/*.md")), ids=lambda f: f.name)
def test_paths_in_the_documentation_exist(file: Path) -> None:
    named = re.findall(
        r"`((?:docs|tests|lab|conformance|fixtures|suites)/[\w./-]+)`", file.read_text()
    )
    missing = [one for one in named if "EXA-001" not in one and not (ROOT / one).exists()]
    assert not missing
