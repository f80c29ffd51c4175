"""Progress that a person can follow, commands with a log, and waiting by condition."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

TAIL_LINES = 15
CLEAN_UP_SECONDS = 5.0
_began = time.monotonic()
_active: set[subprocess.Popen[bytes]] = set()


class StepError(Exception):
    """A step of the lab failed; `log` is where to read on, if there is a log."""

    def __init__(self, what: str, log: Path | None = None) -> None:
        """Say what failed, in words for the person who typed the command."""
        super().__init__(what)
        self.log = log


def say(text: str) -> None:
    """Print one line of progress with the seconds since the command began."""
    print(f"[{time.monotonic() - _began:6.1f}s] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str, log: Path | None = None) -> Iterator[None]:
    """Announce a step and say how long it took; the log is named so that it can be watched."""
    say(f"{what} ..." + (f" (log: {log})" if log else ""))
    began = time.monotonic()
    yield
    seconds = time.monotonic() - began
    say(f"{what}: done in {seconds:.1f} s")


def run(
    command: Sequence[str | Path],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
) -> None:
    """Run a command with its output appended to `log`; raise StepError when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    _active.add(process)
    try:
        process.communicate(None if stdin is None else stdin.encode())
    finally:
        _active.discard(process)
        if process.poll() is None:
            _kill(process)
    if process.returncode != 0:
        words = textwrap.shorten(" ".join(map(str, command)), 90, placeholder=" ...")
        raise StepError(f"`{words}` ended with code {process.returncode}", log)


def abandon() -> None:
    """End the commands that still run in other threads, because the whole will not be finished."""
    for process in list(_active):
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started; it has a moment to clean up."""
    for ask in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, ask)
        with suppress(subprocess.TimeoutExpired):
            process.wait(CLEAN_UP_SECONDS)


def output_of(command: Sequence[str | Path], stdin: str = "") -> str:
    """Return what a short command prints; raise StepError with its complaint when it fails."""
    done = subprocess.run(
        [str(word) for word in command], input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise StepError(f"`{' '.join(map(str, command))}` failed: {done.stderr.strip()}")
    return done.stdout


def wait_until(
    what: str,
    true_now: Callable[[], bool],
    *,
    within: float,
    log: Path | None = None,
    every: float = 0.25,
) -> None:
    """Wait at most `within` seconds for a condition; raise StepError when it does not come."""
    end = time.monotonic() + within
    while not true_now():
        if time.monotonic() > end:
            raise StepError(f"{what}: not within {within:.0f} s", log)
        time.sleep(every)


def tail(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """Return the last lines of a log, or none when it cannot be read."""
    try:
        text = log.read_bytes()[-65536:].decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[-lines:]


def failure(error: StepError) -> str:
    """Return the text for a failed step: what failed, the log's last lines, where it is."""
    text = [f"failed: {error}"]
    if error.log:
        text += [f"  | {line}" for line in tail(error.log)]
        text.append(f"  the whole log: {error.log}")
    return "\n".join(text)
