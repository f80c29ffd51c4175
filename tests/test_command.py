"""The `conformance` command as its users use it: pipes, wrong arguments, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from conformance.cli import main
from conformance.judgement import NOT_WHOLE, USAGE, VIOLATED
from conformance.ledger import read
from tests.miniature import PASSES, ROOT, SELF_CHECK, Miniature, control

COMMAND = [sys.executable, "-m", "conformance.cli"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("audit --run-folder {file}", "cannot be made"),
        ("audit --run-folder {file}/below", "cannot be made"),
        ("audit --workers -1", "--workers"),
        ("verify {cut}", "whole archive"),
        ("diff {cut} {cut}", "whole archive"),
        ("rbac --bind alone", "--bind"),
        ("preflight --kubeconfig {file}", "cannot be asked"),
    ],
)
def test_a_wrong_argument_gets_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: str, said: str
) -> None:
    (tmp_path / "file").write_text("{")
    (tmp_path / "cut").write_bytes((ROOT / "docs" / "example-run.tar.xz").read_bytes()[:50_000])
    given = arguments.format(file=tmp_path / "file", cut=tmp_path / "cut").split()
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == USAGE
    error = capfd.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1, error


def _with(**streams: object) -> int:
    """Run a failing audit's last step: a result of some size, and an exit code that is not 0."""
    code = (
        "import conformance.commands.explain as it, conformance.cli as cli\n"
        "it.run = lambda options: print('x' * 300_000) or 1\n"
        "raise SystemExit(cli.main(['explain', 'PG-003']))\n"
    )
    return subprocess.run([sys.executable, "-c", code], check=False, **streams).returncode  # type: ignore[call-overload, no-any-return]


def test_a_verdict_survives_whatever_becomes_of_its_text() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        assert _with(stdout=writer) == VIOLATED
        assert _with(stdout=writer, stderr=writer) == VIOLATED
        assert _with(stdout=full, stderr=full) == VIOLATED
        done = subprocess.run([*COMMAND, "coverage"], stdout=full, stderr=-1, check=False)
    os.close(writer)
    assert done.returncode == NOT_WHOLE  # nothing is violated; nobody knows it either
    assert b"could not be written" in done.stderr


def test_a_log_that_nobody_reads_stops_no_audit(project: Miniature) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    child = project.begin_audit(stderr=writer)
    os.close(writer)
    assert child.wait(60) == 0
    read(project.folder / "run")


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "parallel"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_audit_that_is_stopped_says_so_and_leaves_nothing_running(
    project: Miniature, name: str, workers: tuple[str, ...]
) -> None:
    names = [f"PLT-WL-{n:03}" for n in range(1, 9)]
    project.map(*({"id": one} for one in names))
    body = "import os, time\nprint(os.getpid())\ntime.sleep(1)\n" + PASSES
    project.suite(SELF_CHECK + "".join(control(body, n, f"test_{i}") for i, n in enumerate(names)))
    child = project.begin_audit(*workers, stderr=subprocess.DEVNULL)
    ledger = project.folder / "run" / "ledger.jsonl"
    deadline = time.monotonic() + 20
    while not ledger.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    group = _children(child.pid)
    child.send_signal(signal.Signals[name])
    assert child.wait(30) == NOT_WHOLE
    _, cases, seal = read(project.folder / "run")
    assert len(cases) < len(names)
    assert any("incomplete" in one for one in seal["problems"])
    assert group
    assert not [one for one in group if _alive(one)]


def _children(pid: int) -> list[int]:
    """Return every process below one."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
