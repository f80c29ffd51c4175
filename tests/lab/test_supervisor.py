"""A daemon is known by more than its pid, and only ours are ended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import steps, supervisor, watching
from lab.supervisor import Daemon, Identity

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a lab of its own."""
    monkeypatch.setenv("AIK_LAB_STATE", str(tmp_path))
    return tmp_path


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that the supervisor did not start."""
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


@pytest.fixture
def sleeper(state: Path) -> Iterator[Daemon]:
    """Yield a daemon that only sleeps, ended after the test; no other has its command."""
    file = state / "config"
    file.write_text("one")
    yield Daemon("sleeper", (*SLEEP, str(state)), ready=lambda: True, configuration=(file,))
    supervisor.stop("sleeper")


def test_a_recycled_pid_is_not_ours(stranger: subprocess.Popen[bytes], state: Path) -> None:
    found = Identity.of(stranger.pid)
    assert found is not None
    recycled = {**vars(found), "started": found.started - 1, "digest": "x"}
    (state / "run").mkdir()
    (state / "run" / "etcd.json").write_text(json.dumps(recycled))
    assert supervisor.running_named("etcd") is None
    supervisor.stop("etcd")
    assert stranger.poll() is None
    assert not (state / "run" / "etcd.json").exists()


def test_a_pid_of_an_earlier_boot_is_not_ours(stranger: subprocess.Popen[bytes]) -> None:
    found = Identity.of(stranger.pid)
    assert found is not None
    assert found.alive()
    assert not Identity(found.pid, found.started, "another-boot").alive()


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    found = Identity.of(process.pid)
    steps.wait_until("it ends", lambda: _is_zombie(process.pid), within=10)
    assert Identity.of(process.pid) is None
    assert found is None or not found.alive()
    process.wait()


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_process_name_with_parentheses_is_read_right(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    (proc / "7").mkdir(parents=True)
    (proc / "sys/kernel/random").mkdir(parents=True)
    (proc / "sys/kernel/random/boot_id").write_text("boot\n")
    fields = ["S", *(str(number) for number in range(4, 53))]
    (proc / "7" / "stat").write_text(f"7 (a) S 1 (b)) {' '.join(fields)}")
    assert Identity.of(7, proc) == Identity(7, 22, "boot")


def test_starting_twice_keeps_the_process(sleeper: Daemon) -> None:
    supervisor.start(sleeper)
    first = supervisor.running_named("sleeper")
    supervisor.start(sleeper)
    assert supervisor.running_named("sleeper") == first is not None


def test_changed_configuration_restarts(sleeper: Daemon) -> None:
    supervisor.start(sleeper)
    first = supervisor.running_named("sleeper")
    sleeper.configuration[0].write_text("two")
    supervisor.start(sleeper)
    second = supervisor.running_named("sleeper")
    supervisor.stop("sleeper")
    assert first
    assert second
    assert first != second
    assert not first.alive()
    assert not second.alive()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_torn_pid_file_is_no_process(text: str, state: Path) -> None:
    (state / "run").mkdir()
    (state / "run" / "etcd.json").write_text(text)
    assert supervisor.running_named("etcd") is None
    supervisor.stop("etcd")


def test_a_daemon_that_ends_is_reported_with_its_log() -> None:
    program = (
        sys.executable,
        "-c",
        "print('no such certificate', flush=True); raise SystemExit(3)",
    )
    daemon = Daemon("brief", program, ready=lambda: False)
    with pytest.raises(steps.StepError, match="brief ended") as caught:
        supervisor.bring_up([daemon])
    assert "no such certificate" in steps.failure(caught.value)


def test_a_second_command_is_refused() -> None:
    refused = pytest.raises(steps.StepError, match="another command")
    with supervisor.alone(), refused, supervisor.alone():
        pass


def test_what_ended_unasked_is_started_again(
    sleeper: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "daemons", lambda: [sleeper])
    supervisor.start(sleeper)
    first = supervisor.running_named("sleeper")
    assert first
    assert not supervisor.ended()
    supervisor.end(first)
    assert supervisor.ended() == {"sleeper"}
    last: dict[str, float] = {}
    watching.start_again(last)
    second = supervisor.running_named("sleeper")
    assert second
    supervisor.end(second)
    watching.start_again(last)  # too soon after the last time
    assert supervisor.running_named("sleeper") is None
    supervisor.stop("sleeper")
    watching.start_again({})
    assert supervisor.running_named("sleeper") is None


def test_a_daemon_without_a_pid_file_is_recognised_by_its_command(sleeper: Daemon) -> None:
    supervisor.start(sleeper)
    first = supervisor.running_named("sleeper")
    assert first
    sleeper.pid_file.unlink()
    supervisor.start(sleeper)
    assert not first.alive()
    assert supervisor.running_named("sleeper")
