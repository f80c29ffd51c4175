"""Whatever text a cluster holds, files stay valid, terminals stay calm, and cuts are counted."""

from __future__ import annotations

import json
import unicodedata
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from tests.miniature import SELF_CHECK, Miniature, build, serve_api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STRINGS = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg/onload=alert(3)>",
    "ansi": "\x1b[2J\x1b]0;title\x07\x1b[31mred\x9b5m",
    "bidi": "good\u202e\u2066dab\u2069\u200f",
    "nul": "before\x00after\x7f\x08\r\n\ttab",
    "surrogate": "half \ud800 and \udfff",
    "formula": "=cmd|'/C calc'!A0",
    "long": "x" * 262_144,
    "path": "../../../../etc/passwd",
    "template": "{{ 7*7 }} {% raw %} ${x} %s {0}",
    "xml": "]]></failure><!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>&y;",
    "separators": "a\u2028b\u2029c\ufeffd\ufffee\U000e0001f",
    "zalgo": "e" + "\u0301" * 2000,
}
SUITE = """
@pytest.mark.control("PLT-NS-001")
def test_it(cluster, verdict):
    for pod in cluster.all("pods"):
        what = pod["spec"]["containers"][0]["image"]
        verdict.expect(False, subject=what, claim=f"is not {what}", observed=what,
                       expected=pod["metadata"]["annotations"], advice=f"remove {what}", note=what)
        verdict.undecided(subject=pod["metadata"]["name"], claim="c", reason=what)
        with verdict.about(what):
            raise UndecidedError(what)
    raise ValueError(what)
"""


def pod(number: int, text: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"p{number}{text}",
            "namespace": "one",
            "annotations": {text: text},
            "labels": {text: text},
        },
        "spec": {"containers": [{"image": text, "securityContext": {"runAsUser": text}}]},
        "status": {"phase": text},
    }


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Miniature, str]]:
    listed = {
        "kind": "PodList",
        "metadata": {},
        "items": [pod(n, text) for n, text in enumerate(STRINGS.values())],
    }
    server = serve_api({"/api/v1/pods": listed})
    project = build(tmp_path_factory.mktemp("strings") / "project", server)
    head = "from conformance.verdict import UndecidedError\n"
    project.suite(head + SELF_CHECK + SUITE)
    done = project.audit()
    assert done.returncode == 1, done.stdout + done.stderr
    yield project, done.stdout + done.stderr
    server.shutdown()
    server.server_close()


def reports(project: Miniature) -> Path:
    return project.folder / "run" / "reports"


def test_every_string_was_seen_and_judged(audited: tuple[Miniature, str]) -> None:
    project, _ = audited
    case = next(one for one in project.entries() if one.get("case") == "PLT-NS-001")
    assert len(case["findings"]) == 3 * len(STRINGS) + 1
    evidence = next((project.folder / "run" / "evidence" / "kubernetes" / "list").glob("pods*"))
    images = [
        p["spec"]["containers"][0]["image"] for p in json.loads(evidence.read_text())["value"]
    ]
    assert images == list(STRINGS.values()), "evidence is kept as it was"


def test_terminals_stay_calm(audited: tuple[Miniature, str]) -> None:
    project, said = audited
    log = (project.folder / "run" / "pytest.log").read_bytes().decode()
    for text in (said, log):
        bad = {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}} - {
            "\n"
        }
        assert not bad, [hex(ord(one)) for one in bad]
    assert "more characters" in log
    assert len(log) < 400_000
    assert max(map(len, log.splitlines())) < 5_000


def test_findings_are_cut_and_counted(audited: tuple[Miniature, str]) -> None:
    project, _ = audited
    for entry in project.entries():
        for finding in entry.get("findings", ()):
            for key in ("subject", "claim", "observed", "expected", "advice", "note"):
                text = finding[key]
                assert len(text) < 2_100, key
                assert all(one.isprintable() for one in text), key
    case = next(one for one in project.entries() if one.get("case") == "PLT-NS-001")
    cut = [one for one in case["findings"] if "260144 more characters" in one["observed"]]
    assert cut


def test_every_report_is_valid(audited: tuple[Miniature, str]) -> None:
    place = reports(audited[0])
    judged = json.loads((place / "run.json").read_text(encoding="utf-8"))
    assert judged["counts"]["failed"] == 1
    root = ET.fromstring((place / "junit.xml").read_text(encoding="utf-8"))  # noqa: S314 - ours
    assert len(list(root.iter("testcase"))) >= 2
    results = list((place / "allure-results").glob("*.json"))
    assert results
    for one in results:
        json.loads(one.read_text(encoding="utf-8"))


def test_no_page_runs_or_loads_what_a_cluster_says(audited: tuple[Miniature, str]) -> None:
    page = (reports(audited[0]) / "report.html").read_text(encoding="utf-8")
    for text in ("<script>alert", "<img src=x", "<svg/onload", "<!ENTITY"):
        assert text not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7*7 }}" in page


def test_nothing_was_written_outside_the_run(audited: tuple[Miniature, str]) -> None:
    project, _ = audited
    run = project.folder / "run"
    assert {one.name for one in project.folder.iterdir()} <= {
        "run", "suites", "conftest.py", "pyproject.toml", "kubeconfig", "constitution_map.yaml",
        ".pytest_cache", "__pycache__",
    }  # fmt: skip
    for one in run.rglob("*"):
        assert one.resolve().is_relative_to(run.resolve())
        assert len(one.name) < 200
        assert one.name.isprintable()
