"""Break files are read strictly, steps are judged strictly, and records keep breaks apart."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from lab import breakfile, breaking, deploying, steps
from lab.breakfile import BreakFileError, Step
from lab.kubectl import Kubectl

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
control: PG-003
breaks: a replica does not stream
break:
  - kubectl: get pods -o jsonpath={.items[0].metadata.name}
    save: replica
  - until: exec {{replica}} -- psql -c "SELECT 1"
    expect: ""
    within: 90s
mend:
  - kubectl: apply -f -
    stdin: |
      pod: {{replica}}
needs_settle: true
also_red: [PG-004]
"""


def parse(text: str) -> breakfile.Break:
    """Return what a file of that text says."""
    return breakfile.parse(text, "breaks/PG-003.yaml", "PG-003")


def test_a_file_becomes_steps() -> None:
    found = parse(GOOD)
    assert found.breaks == "a replica does not stream"
    assert found.steps[0].save == "replica"
    assert found.steps[1] == Step(
        words=("exec", "{{replica}}", "--", "psql", "-c", "SELECT 1"),
        line=6,
        until=True,
        expect="",
        within=90.0,
    )
    assert found.mend[0].stdin == "pod: {{replica}}\n"
    assert found.needs_settle
    assert found.also_red == ("PG-004",)


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("control: PG-003", "control: PG-004", 1, "control"),
        ("breaks: a replica does not stream", "breaks: ", 2, "breaks"),
        ("needs_settle: true", "needs_settle: perhaps", 13, "true or false"),
        ("needs_settle: true", "needs_settles: true", 13, "needs_settles"),
        ("needs_settle: true\n", "", 1, "needs_settle"),
        ("also_red: [PG-004]", "also_red: PG-004", 14, "list"),
        ("also_red: [PG-004]", "also_red: [PG-003]", 14, "PG-003"),
        ("also_red: [PG-004]", "breaks: again", 14, "twice"),
        ("    save: replica", "    saves: replica", 5, "saves"),
        ("    save: replica", "    expect: x", 5, "until"),
        ("{{replica}} --", "{{primary}} --", 6, "primary"),
        ('"SELECT 1"', '"SELECT 1', 6, "quot"),
        ("within: 90s", "within: soon", 8, "60s"),
        ("within: 90s", "contains: x", 8, "contains"),
        ("apply -f -", "kubectl apply -f -", 10, "without"),
        ("kubectl: apply -f -", "until: x\n    kubectl: y", 10, "either"),
        ("mend:\n", "mend: []\nbreaks:\n", 10, "twice"),
        (
            "mend:\n  - kubectl: apply -f -\n    stdin: |\n      pod: {{replica}}\n",
            "mend: []\n",
            9,
            "mend",
        ),
    ],
)
def test_a_malformed_file_is_refused_with_line_and_key(
    old: str, new: str, line: int, word: str
) -> None:
    assert old in GOOD
    with pytest.raises(BreakFileError) as refused:
        parse(GOOD.replace(old, new, 1))
    assert str(refused.value).startswith(f"breaks/PG-003.yaml:{line}: ")
    assert word in str(refused.value)


@pytest.mark.parametrize("text", ["", "a: [", "just words", "[1, 2]"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(BreakFileError, match=r"^breaks/PG-003\.yaml:\d+: "):
        parse(text)


def test_an_unknown_control_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "PG-003.yaml").write_text(GOOD)
    with pytest.raises(BreakFileError, match="'PG-4'; there are: PG-003"):
        breakfile.load("PG-4", tmp_path)


@pytest.mark.parametrize("control", breakfile.controls())
def test_every_break_of_the_lab_is_well_formed(control: str) -> None:
    assert breakfile.load(control).control == control


UNTIL = Step(words=("get",), line=1, until=True)


@pytest.mark.parametrize(
    ("step", "code", "stdout", "good"),
    [
        (UNTIL, 0, "", True),
        (UNTIL, 1, "", False),
        (Step(("get",), 1, until=True, expect="0"), 0, "0\n", True),
        (Step(("get",), 1, until=True, expect="0"), 0, "10\n", False),
        (Step(("get",), 1, until=True, expect=""), 0, "\n", True),
        (Step(("get",), 1, until=True, expect=""), 0, "x", False),
        (Step(("get",), 1, until=True, contains="cord"), 0, "according", True),
        (Step(("get",), 1, until=True, contains="cord"), 0, "", False),
        (Step(("get",), 1, save="pod"), 0, " \n", False),
        (Step(("get",), 1, save="pod"), 0, "redis-0", True),
    ],
)
def test_an_outcome_is_what_the_step_wants_or_has_a_complaint(
    step: Step, code: int, stdout: str, *, good: bool
) -> None:
    assert (breaking.complaint(step, code, stdout, "") == "") is good


def test_variables_are_filled_in_and_shell_variables_left_alone() -> None:
    text = "sh -c 'echo $HOME' {{pod}} -o go-template={{.status}}"
    assert breaking.filled(text, {"pod": "redis-1"}) == text.replace("{{pod}}", "redis-1")
    with pytest.raises(steps.StepError, match="pod"):
        breaking.filled(text, {})


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty state directory of a lab that does not run."""
    monkeypatch.setenv("AIK_LAB_STATE", str(tmp_path))
    return tmp_path


def test_a_second_break_is_refused(state: Path) -> None:
    breaking.Active("RED-001", "2026-01-01T00:00:00Z").write()
    (state / "kubeconfig").touch()
    with pytest.raises(steps.StepError, match="RED-001 is broken since 2026-01-01T00:00:00Z"):
        breaking.break_control("PLT-NS-001")
    with pytest.raises(steps.StepError, match="not PLT-NS-001 but RED-001"):
        breaking.mend_control("PLT-NS-001")


def test_without_a_lab_nothing_is_broken_and_nothing_recorded(state: Path) -> None:
    with pytest.raises(steps.StepError, match="there is no lab"):
        breaking.break_control("PLT-NS-001")
    assert not list(state.iterdir())


def test_a_record_survives_and_a_damaged_one_says_what_helps(state: Path) -> None:
    assert breaking.Active.read() is None
    breaking.Active("RED-001", "now", variables={"pod": "redis-1"}).write()
    assert breaking.Active.read() == breaking.Active("RED-001", "now", variables={"pod": "redis-1"})
    (state / "broken.json").write_text(json.dumps({"what": 1}))
    with pytest.raises(steps.StepError, match="mend --all"):
        breaking.Active.read()


@pytest.fixture
def cluster(state: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is asked of a cluster that refuses `scale`; deploying and settling are noted."""
    asked: list[str] = []

    def attempt(
        _: Kubectl, *words: str, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        asked.append(" ".join(words) + (stdin or ""))
        return subprocess.CompletedProcess(words, int(words[0] == "scale"), "redis-1", "refused")

    (state / "kubeconfig").touch()
    monkeypatch.setattr(Kubectl, "attempt", attempt)
    monkeypatch.setattr(breaking, "settle", lambda *_, **__: asked.append("settle"))
    monkeypatch.setattr(deploying, "apply", lambda _: asked.append("deploy"))
    monkeypatch.setattr(breakfile, "load", lambda control: parse(FAILING) if control else None)
    return asked


FAILING = """\
control: PG-003
breaks: something
break:
  - {kubectl: get pods, save: pod}
  - {kubectl: scale x}
mend:
  - {kubectl: scale y}
  - {kubectl: "label {{pod}}"}
needs_settle: true
"""


def test_a_break_that_fails_half_way_stays_recorded_and_is_repaired(
    state: Path, cluster: list[str]
) -> None:
    with pytest.raises(steps.StepError, match=r"break PG-003, step 2/2 \(line 5\).*refused"):
        breaking.break_control("PG-003")
    active = breaking.Active.read()
    assert active
    assert (active.whole, active.variables) == (False, {"pod": "redis-1"})
    with pytest.raises(steps.StepError, match="mend PG-003, step 1/2"):
        breaking.mend_control("PG-003")
    assert breaking.Active.read()
    cluster.clear()
    breaking.mend_all()
    assert cluster == ["scale y", "label redis-1", "deploy", "settle"]
    assert not (state / "broken.json").exists()


def test_repair_works_without_a_readable_record(state: Path, cluster: list[str]) -> None:
    (state / "broken.json").write_text("{")
    breaking.mend_all()
    assert cluster == ["deploy", "settle"]
    assert not (state / "broken.json").exists()


def test_mending_what_is_not_broken_changes_nothing(cluster: list[str]) -> None:
    breaking.mend_control("PG-003")
    assert cluster == []
