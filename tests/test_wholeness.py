"""A run is called whole only where it holds what the map demands, and nothing else can say so."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from conformance.evidence import canonical
from conformance.judgement import CONFORMANT, NOT_WHOLE, UNDECIDED, USAGE, VIOLATED
from conformance.ledger import FILE, Ledger
from tests.miniature import PASSES, SELF_CHECK, Miniature, control

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("given", ["--replay {recorded} --allow-disruption", "-k clock"])
def test_an_audit_does_what_it_was_told_and_not_what_the_environment_says(
    project: Miniature, recorded: Path, given: str
) -> None:
    live = Miniature(project.folder)
    done = live.audit(environment={"PYTEST_ADDOPTS": given.format(recorded=recorded)})
    assert done.returncode == CONFORMANT, done.stderr
    opened = live.entries()[0]
    assert (opened["replayed"], opened["allowed"]) == (False, ["read-only"])


def test_an_odd_environment_changes_nothing(project: Miniature) -> None:
    odd = {
        "PYTHONOPTIMIZE": "2",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "nowhere",
        "CONFORMANCE_PLATFORM": "nowhere.yaml",
        "PYTHONIOENCODING": "ascii",
        "LC_ALL": "C",
    }
    done = project.audit("-n", "1", environment=odd)
    assert done.returncode == CONFORMANT, done.stderr


def test_an_audit_takes_paths_from_where_its_user_stands(project: Miniature) -> None:
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "yaml.py").write_text("raise SystemExit('imported from where the user stands')\n")
    shutil.copytree(project.source()[1], elsewhere / "earlier")
    (project.folder / "map.yaml").write_text((project.folder / "constitution_map.yaml").read_text())
    done = project.audit("--map", "../map.yaml", "--replay", "earlier", within=elsewhere)
    assert done.returncode == CONFORMANT, done.stderr


def test_a_run_called_whole_must_hold_what_the_map_demands(project: Miniature) -> None:
    project.map({"id": "PLT-NS-001"}, {"id": "PLT-NS-002"})
    run = project.folder / "run"
    run.mkdir()
    (run / "expected.json").write_text(canonical(["H-03", "PLT-NS-001"]))
    done = project.pytest("--whole", "--run-folder", str(run))
    assert done.returncode == NOT_WHOLE, done.stdout
    assert "other cases than the map demands" in done.stdout


def test_what_a_dead_run_left_does_not_make_the_next_one_whole(project: Miniature) -> None:
    run = project.folder / "run"
    project.pytest("--run-folder", str(run))
    (run / FILE).unlink()  # the evidence is there: it would be taken for this run's
    done = project.pytest("--run-folder", str(run))
    assert done.returncode == USAGE
    assert "not empty" in done.stdout + done.stderr


def test_a_replay_of_nothing_is_refused(project: Miniature) -> None:
    done = Miniature(project.folder, project.folder / "nowhere").pytest()
    assert done.returncode == USAGE
    assert "not the folder of a run" in done.stdout + done.stderr


def test_a_file_that_cannot_be_read_is_no_detail(project: Miniature) -> None:
    project.suite("import nowhere\n", "test_other.py")
    done = project.pytest("--continue-on-collection-errors", "-n", "1")
    assert done.returncode == NOT_WHOLE, done.stdout
    assert "test_other.py could not be collected" in done.stdout


def test_other_tests_that_fail_beside_the_cases_are_heard(project: Miniature) -> None:
    (project.folder / "tests").mkdir()
    (project.folder / "tests" / "test_own.py").write_text("def test_it():\n    assert False\n")
    done = project.pytest("tests")
    assert done.returncode == NOT_WHOLE, done.stdout
    assert "test_own.py::test_it failed outside of any case" in done.stdout


def test_going_through_the_motions_is_not_green(project: Miniature) -> None:
    assert project.pytest("--setup-plan").returncode == NOT_WHOLE


def test_a_teardown_that_breaks_takes_no_contradiction_back(project: Miniature) -> None:
    late = "\n@pytest.fixture\ndef late():\n    yield\n    raise ValueError('late')\n"
    broken = control(PASSES.replace("True", "False")).replace("(verdict)", "(verdict, late)")
    project.suite(SELF_CHECK + late + broken)
    done = project.audit("--json")
    assert done.returncode == VIOLATED, done.stderr
    case = next(c for c in json.loads(done.stdout)["cases"] if c["control"] == "PLT-NS-001")
    assert [one["outcome"] for one in case["findings"]] == ["failed", "inconclusive"]


def test_drills_are_refused_beside_other_looks(project: Miniature) -> None:
    live = Miniature(project.folder)
    done = live.pytest("-n", "2", "--allow-disruption")
    assert done.returncode == USAGE
    assert "leave out -n" in done.stdout + done.stderr


@pytest.mark.parametrize("size", [50, 900, 1500])
def test_a_full_disk_is_not_taken_for_a_verdict(project: Miniature, size: int) -> None:
    code = (
        "import resource, pytest\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        f"arguments = ['suites', '-p', 'no:cacheprovider', *{project.source()}]\n"
        "raise SystemExit(pytest.main(arguments))"
    )
    done = project.python("-B", "-c", code)
    assert done.returncode == NOT_WHOLE, done.stdout + done.stderr


WAIVER = (
    "waivers: [{control: PLT-NS-001, subject: s, reason: moving, owner: ann, "
    "approved_by: bob, ticket: T-1, until: 2027-01-31}]\n"
)


def test_a_waiver_of_what_was_not_decided_may_still_be_needed(project: Miniature) -> None:
    project.map({"id": "PLT-NS-001"}, tail=WAIVER)
    project.suite(
        SELF_CHECK + control("verdict.undecided(subject='s', claim='c', reason='denied')")
    )
    assert project.audit().returncode == UNDECIDED


def test_a_waiver_of_what_the_profile_leaves_out_is_not_unused(project: Miniature) -> None:
    project.map({"id": "PLT-NS-001", "classes": ["canary"]}, {"id": "PLT-NS-002"}, tail=WAIVER)
    project.suite(SELF_CHECK + control(PASSES) + control(PASSES, "PLT-NS-002", "test_another"))
    done = project.audit()
    assert done.returncode == CONFORMANT, done.stderr + done.stdout


def test_verify_tells_an_incomplete_record_from_a_whole_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from conformance.cli import main

    about = {"run": "r", "started": "2026-11-24T10:00:00+00:00", "cluster": {"uid": "u"}}
    for name, cases, problems in (
        ("good", ["A", "B"], []),
        ("short", ["A"], []),
        ("cut", ["A", "B"], ["interrupted: the run is incomplete"]),
    ):
        (tmp_path / name).mkdir()
        ledger = Ledger(tmp_path / name)
        ledger.open({**about, "expected": ["A", "B"], "whole": True, "replayed": False})
        for one in cases:
            ledger.case({"case": one, "outcome": "passed"})
        ledger.seal({"problems": problems})
        wanted = CONFORMANT if name == "good" else NOT_WHOLE
        for options in ((), ("--whole",), ("--newer-than", "2026-11-24T11:30:00+02:00")):
            assert main(["verify", str(tmp_path / name), *options]) == wanted, (name, options)
    assert main(["verify", str(tmp_path / "good"), "--newer-than", "2026-11-25"]) == NOT_WHOLE
    capfd.readouterr()
    with pytest.raises(SystemExit, match="64"):
        main(["verify", str(tmp_path / "good"), "--newer-than", "1/1/2026"])
