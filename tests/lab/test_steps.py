"""A failed step says what failed, what the log ends with, and where it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab import steps
from lab.__main__ import parser


def test_a_failed_command_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    program = "for n in range(40): print('line', n, flush=True)\nraise SystemExit('no space left')"
    with pytest.raises(steps.StepError, match="ended with code 1") as caught:
        steps.run([sys.executable, "-c", program], log)
    lines = steps.failure(caught.value).splitlines()
    assert lines[0].startswith("failed: ")
    assert lines[-2] == "  | no space left"
    assert lines[-1].endswith(str(log))
    assert len(lines) == steps.TAIL_LINES + 2


def test_a_failure_without_a_log_is_one_line(tmp_path: Path) -> None:
    assert steps.failure(steps.StepError("Go is not on PATH")) == "failed: Go is not on PATH"
    gone = steps.failure(steps.StepError("it failed", tmp_path / "gone"))
    assert gone.splitlines()[0] == "failed: it failed"


def test_a_condition_that_never_comes_is_an_error_with_its_limit() -> None:
    with pytest.raises(steps.StepError, match="the moon is blue: not within 0 s"):
        steps.wait_until("the moon is blue", lambda: False, within=0.01, every=0.01)


def test_input_reaches_the_command(tmp_path: Path) -> None:
    log = tmp_path / "cat.log"
    steps.run([sys.executable, "-c", "print(input())"], log, stdin="hello\n")
    assert log.read_text() == "hello\n"


def test_wrong_usage_ends_with_64() -> None:
    for words in (["up", "--profile", "none"], ["nonsense"], [], ["mend"]):
        done = subprocess.run(
            [sys.executable, "-m", "lab", *words],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 64, (words, done.stderr)
        assert "--help" in done.stderr


def test_help_names_every_command_and_place() -> None:
    text = parser().format_help()
    for word in ("up", "down", "status", "prune", "break", "mend", "AIK_LAB_CACHE", "Exit codes"):
        assert word in text
