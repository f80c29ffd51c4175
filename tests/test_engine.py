"""Never green over nothing: every way of not looking ends non-zero, with its reason named."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from conformance.ledger import BrokenError, read
from tests.miniature import PASSES, SELF_CHECK, UID, Miniature, control


def test_a_good_project_is_conformant(project: Miniature) -> None:
    project = replace(project, recorded=None)
    done = project.audit()
    assert done.returncode == 0, done.stderr
    opened, cases, _ = read(project.folder / "run")
    assert opened["cluster"]["uid"] == UID
    assert [one["outcome"] for one in cases] == ["passed", "passed"]
    assert "[  2/2]" in done.stderr


EMPTY_HANDED = {
    "loops_over_nothing": (
        "for _ in []:\n    verdict.expect(False, subject='s', claim='c', observed='')",
        "nothing was examined",
    ),
    "skips_itself": ("pytest.skip('not today')", "skipped itself"),
    "expects_to_fail": ("pytest.xfail('known')", "skipped itself"),
    "returns_false": ("return False", "broke"),
    "raises": ("raise ValueError('oh')", "ValueError: oh"),
    "asserts": ("assert False", "AssertionError"),
    "claims_a_list": ("verdict.expect([1], subject='s', claim='c', observed='')", "TypeError"),
    "breaks_in_a_thread": (
        "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()",
        "",
    ),
    "breaks_late": (PASSES + "raise ValueError('late')", "late"),
    "is_denied": (
        PASSES + "verdict.undecided(subject='t', claim='c', reason='denied')",
        "denied",
    ),
    "only_advises": ("verdict.advise(subject='t', claim='c', observed='old')", ""),
}


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["serial", "parallel"])
def test_no_test_passes_empty_handed(project: Miniature, workers: list[str]) -> None:
    names = {f"PLT-WL-{n:03}": how for n, how in enumerate(EMPTY_HANDED, 1)}
    project.map(*({"id": one} for one in names))
    bodies = (control(EMPTY_HANDED[how][0], one, f"test_{how}") for one, how in names.items())
    project.suite(SELF_CHECK + "".join(bodies))
    done = project.audit("--json", *workers)
    assert done.returncode == 3, done.stderr
    cases = {one["control"]: one for one in json.loads(done.stdout)["cases"]}
    for one, how in names.items():
        assert cases[one]["outcome"] == "inconclusive", how
        assert EMPTY_HANDED[how][1] in cases[one]["reason"], how


def test_a_contradiction_outweighs_everything_else(project: Miniature) -> None:
    both = PASSES + "verdict.expect(False, subject='t', claim='c', observed='')\nraise ValueError"
    project.suite(SELF_CHECK + control(both))
    assert project.audit().returncode == 1


def test_what_was_not_measured_is_not_green(project: Miniature) -> None:
    body = "verdict.not_measured(subject='t', claim='c', reason='window')"
    project.suite(SELF_CHECK + control(body))
    assert project.audit().returncode == 3


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["serial", "parallel"])
@pytest.mark.parametrize(
    "body",
    ["pytest.exit('bye', returncode=0)", "import os\nos._exit(0)", "import sys\nsys.exit(0)"],
)
def test_no_exit_in_the_middle_is_taken_for_the_end(
    project: Miniature, body: str, workers: list[str]
) -> None:
    project.suite(SELF_CHECK + control(body))
    done = project.audit(*workers)
    assert done.returncode in {2, 3}, done.stdout + done.stderr
    assert "conformant" not in done.stdout


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        ("", "no tests ran"),
        (SELF_CHECK, "PLT-NS-001 is missing"),
        ("def test_free(): pass\n", "has no @pytest.mark.control"),
        ("import nowhere\n", "No module named 'nowhere'"),
        ("def broken(:\n", "SyntaxError"),
        (SELF_CHECK + control(PASSES) + control(PASSES, function="test_again"), "two records"),
        (SELF_CHECK + control(PASSES, "PLT-NS-009"), "not in the map"),
        (SELF_CHECK + control(PASSES) + control(PASSES, "H-03"), "functions called test_it"),
        (SELF_CHECK + control(PASSES) + control(PASSES), "functions called test_it"),
    ],
)  # fmt: skip
def test_no_set_of_tests_hides_a_case(project: Miniature, suite: str, said: str) -> None:
    project.suite(suite)
    done = project.audit()
    assert done.returncode in {2, 64}, done.stdout + done.stderr
    assert said in done.stdout + done.stderr + _log(project)


def _log(project: Miniature) -> str:
    log = project.folder / "run" / "pytest.log"
    return log.read_text() if log.exists() else ""


def test_an_empty_parametrisation_is_no_pass(project: Miniature) -> None:
    project.map({"id": "PLT-NS-001", "for_each": "services"})
    project.suite(
        SELF_CHECK
        + '\n@pytest.mark.control("PLT-NS-001")\ndef test_it(service, verdict):\n    '
        + PASSES
    )
    done = project.audit()
    assert done.returncode == 3, done.stdout + done.stderr
    assert "not applicable" in done.stdout + done.stderr


def test_a_case_of_each_declared_part_is_demanded(project: Miniature) -> None:
    project.map({"id": "PLT-NS-001", "for_each": "namespaces"})
    project.suite(
        SELF_CHECK
        + '\n@pytest.mark.control("PLT-NS-001")\ndef test_it(namespace, verdict):\n'
        + "    if namespace.name == 'one':\n        "
        + PASSES
    )
    done = project.audit()
    assert done.returncode == 3
    assert {one["case"] for one in project.entries()[1:-1]} == {
        "H-03",
        "PLT-NS-001[one]",
        "PLT-NS-001[two]",
    }


def test_deselected_cases_leave_a_partial_run(project: Miniature) -> None:
    done = project.pytest("-k", "clock")
    assert "PARTIAL" in done.stdout
    assert done.returncode == 3  # a self-check alone shows nothing of the platform


def test_everything_deselected_is_not_green(project: Miniature) -> None:
    assert project.pytest("-k", "nothing_is_called_so").returncode not in {0, 1}


def test_a_self_check_that_fails_takes_the_decision_away(project: Miniature) -> None:
    project.map({"id": "PLT-NS-001", "needs": {"guards": ["H-03"]}})
    project.suite(SELF_CHECK.replace("True", "False") + control(PASSES))
    done = project.audit("--json")
    case = next(c for c in json.loads(done.stdout)["cases"] if c["control"] == "PLT-NS-001")
    assert (case["outcome"], case["notes"]) == ("inconclusive", ["blocked by H-03"])
    assert done.returncode == 3  # our instrument is broken; of the platform that says nothing


def test_a_waived_case_is_still_shown_failed(project: Miniature) -> None:
    waiver = (
        "waivers: [{control: PLT-NS-001, subject: s, reason: moving, owner: ann, "
        "approved_by: bob, ticket: T-1, until: 2027-01-31}]\n"
    )
    project.map({"id": "PLT-NS-001"}, tail=waiver)
    project.suite(SELF_CHECK + control(PASSES.replace("True", "False")))
    done = project.audit("--json")
    case = next(c for c in json.loads(done.stdout)["cases"] if c["control"] == "PLT-NS-001")
    assert (case["outcome"], case["notes"], case["gates"]) == ("failed", ["waived"], False)


def test_a_waiver_that_waives_nothing_fails_the_run(project: Miniature) -> None:
    waiver = (
        "waivers: [{control: PLT-NS-001, subject: s, reason: moving, owner: ann, "
        "approved_by: bob, ticket: T-1, until: 2027-01-31}]\n"
    )
    project.map({"id": "PLT-NS-001"}, tail=waiver)
    done = project.audit()
    assert done.returncode == 2
    assert "waives nothing" in done.stdout + done.stderr


@pytest.mark.parametrize("plugin", ["--showlocals"])
def test_what_would_show_secrets_is_refused(project: Miniature, plugin: str) -> None:
    done = project.pytest(plugin)
    assert done.returncode == 64
    assert "credentials" in done.stdout + done.stderr


def test_a_malformed_map_ends_before_the_first_request(project: Miniature) -> None:
    map_file = project.folder / "constitution_map.yaml"
    map_file.write_text(map_file.read_text().replace("A5.1", "no"))
    done = project.audit()
    assert done.returncode == 64
    assert "constitution_map.yaml:" in done.stderr
    assert not (project.folder / "run").exists()


def test_a_run_never_writes_over_another(project: Miniature) -> None:
    assert project.audit().returncode == 0
    done = project.audit()
    assert done.returncode == 64
    assert "not empty" in done.stderr


def test_an_unreachable_cluster_is_undecided_and_says_so(project: Miniature) -> None:
    project = replace(project, recorded=None)
    config = project.folder / "kubeconfig"
    config.write_text(config.read_text().replace("http://127.0.0.1:", "http://127.0.0.1:1"))
    project.suite(
        SELF_CHECK + "\n@pytest.mark.control('PLT-NS-001')\ndef test_it(cluster, verdict):\n"
        "    cluster.all('pods')\n"
    )
    done = project.audit()
    assert done.returncode == 3, done.stdout + done.stderr
    assert "unreachable" in done.stdout + done.stderr


def test_a_run_that_is_killed_at_any_point_is_not_whole(project: Miniature) -> None:
    body = "import time\ntime.sleep(0.05)\n" + PASSES
    names = [f"PLT-WL-{n:03}" for n in range(1, 9)]
    project.map(*({"id": name} for name in names))
    project.suite(SELF_CHECK + "".join(control(body, n, f"test_{i}") for i, n in enumerate(names)))
    chance = random.Random(20261124)  # noqa: S311 - repeatable points in time
    for attempt in range(4):
        run = project.folder / f"run{attempt}"
        child = subprocess.Popen(
            [
                sys.executable, "-m", "pytest", "suites", "--run-folder", str(run),
                *project.source(),
            ],
            cwd=project.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while not (run / "ledger.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.3))
        child.kill()
        child.wait()
        with pytest.raises(BrokenError):
            read(run)


def test_ctrl_c_leaves_a_record_that_says_it_is_incomplete(project: Miniature) -> None:
    names = [f"PLT-WL-{n:03}" for n in range(1, 9)]
    project.map(*({"id": name} for name in names))
    body = "import time\ntime.sleep(0.5)\n" + PASSES
    project.suite(SELF_CHECK + "".join(control(body, n, f"test_{i}") for i, n in enumerate(names)))
    run = project.folder / "run"
    child = subprocess.Popen(
        [
            sys.executable, "-m", "pytest", "suites", "--run-folder", str(run),
            *project.source(),
        ],
        cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=dict(os.environ),
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while not (run / "ledger.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=30)
    _, _, seal = read(run)
    assert "incomplete" in seal["problems"][0]
    assert child.returncode == 2, out
