"""Start, recognise and stop the lab's daemons; nothing that the lab did not start is ever ended.

A daemon has a pid file, which names the process by pid, start time and boot. All three
must match, so a pid that was given to another process since is never mistaken for ours.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lab import layout, steps
from lab.files import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

STOP_SECONDS = 20.0
LOG_BYTES = 20_000_000
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Identity:
    """Which process: the pid, its start in clock ticks since boot, and the boot's id."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int, proc: Path = Path("/proc")) -> Identity | None:
        """Return the identity of a living process, or None for one that is gone or a zombie."""
        try:
            after_name = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
            boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        return None if after_name[0] in "ZX" else cls(pid, int(after_name[19]), boot)

    def alive(self, proc: Path = Path("/proc")) -> bool:
        """Tell whether this very process still runs."""
        return Identity.of(self.pid, proc) == self


def directory() -> Path:
    """Return the directory of the pid files."""
    return layout.state() / "run"


@dataclass(frozen=True)
class Daemon:
    """A program that the lab keeps running.

    `configuration` are the files whose change demands a restart; `ready` tells
    whether it answers; `within` is the time it has for that, in seconds.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool]
    configuration: tuple[Path, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    within: float = 60.0

    @property
    def log(self) -> Path:
        """The file that gets what the daemon prints."""
        return layout.logs() / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        """The file that says which process it is."""
        return directory() / f"{self.name}.json"

    def digest(self) -> str:
        """Return a digest of command, environment and configuration files."""
        parts = hashlib.sha256(json.dumps([self.command, self.env], sort_keys=True).encode())
        for file in self.configuration:
            parts.update(file.read_bytes())
        program = Path(self.command[0]).stat()
        parts.update(f"{program.st_size} {program.st_mtime_ns}".encode())
        return parts.hexdigest()


def recorded(pid_file: Path) -> tuple[Identity, str] | None:
    """Return the identity and digest of a pid file, or None if it is absent or torn."""
    try:
        found = json.loads(pid_file.read_text())
        return Identity(found["pid"], found["started"], found["boot"]), str(found["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running_named(name: str) -> Identity | None:
    """Return the identity of the process of the daemon of a name, if it runs."""
    found = recorded(directory() / f"{name}.json")
    return found[0] if found and found[0].alive() else None


def ended() -> set[str]:
    """Return the names of the daemons that ended without being asked: a stop takes the pid file."""
    return {file.stem for file in directory().glob("*.json") if not running_named(file.stem)}


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lab for one command at a time; raise StepError if another one has it."""
    path = layout.state() / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise steps.StepError(
                "another command is changing the lab: wait until it ends"
            ) from error
        yield


def start(daemon: Daemon) -> None:
    """Start a daemon unless it runs already with this configuration; do not wait for it."""
    digest = daemon.digest()
    found = recorded(daemon.pid_file)
    if not (found and found[0].alive()) and (orphan := _orphan(daemon)):
        found = (orphan, "unknown")
    if found and found[0].alive():
        if found[1] == digest:
            return
        steps.say(f"{daemon.name}: its configuration changed, restarting it")
        end(found[0])
    daemon.log.parent.mkdir(parents=True, exist_ok=True)
    if daemon.log.exists() and daemon.log.stat().st_size > LOG_BYTES:
        daemon.log.replace(daemon.log.with_suffix(".log.1"))
    with daemon.log.open("ab") as log:
        child = subprocess.Popen(
            daemon.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **daemon.env},
            cwd="/",
            start_new_session=True,
        )
    for earlier in _children.values():
        earlier.poll()
    _children[child.pid] = child
    identity = Identity.of(child.pid)
    if identity is None:
        raise steps.StepError(f"{daemon.name} ended at once", daemon.log)
    text = json.dumps({**vars(identity), "digest": digest, "log": str(daemon.log)})
    write(daemon.pid_file, text)


def await_ready(daemon: Daemon) -> None:
    """Wait until a daemon answers; raise StepError as soon as its process has ended."""

    def answers() -> bool:
        if running_named(daemon.name) is None:
            raise steps.StepError(f"{daemon.name} ended while it was starting", daemon.log)
        return daemon.ready()

    steps.wait_until(f"{daemon.name} answers", answers, within=daemon.within, log=daemon.log)


def bring_up(daemons: Iterable[Daemon]) -> None:
    """Start daemons together, then wait until each of them answers."""
    together = list(daemons)
    for daemon in together:
        start(daemon)
    for daemon in together:
        await_ready(daemon)


def end(*identities: Identity, patience: float = STOP_SECONDS) -> None:
    """End processes together: ask, wait at most `patience` seconds, then kill."""
    for ask in (signal.SIGTERM, signal.SIGKILL):
        for identity in identities:
            if identity.alive():
                os.kill(identity.pid, ask)
        deadline = time.monotonic() + patience
        while any(map(Identity.alive, identities)) and time.monotonic() < deadline:
            for identity in identities:
                _reap(identity.pid)
            time.sleep(0.05)


def stop(*patterns: str, patience: float = STOP_SECONDS) -> None:
    """Stop the daemons whose names match: those that still are the ones of their pid files."""
    pid_files = [file for pattern in patterns for file in directory().glob(f"{pattern}.json")]
    found = [known[0] for file in pid_files if (known := recorded(file))]
    end(*(identity for identity in found if identity.alive()), patience=patience)
    for file in pid_files:
        file.unlink(missing_ok=True)


def _orphan(daemon: Daemon) -> Identity | None:
    """Return a process with the daemon's very command: a killed `up` had no time to note it."""
    wanted = "\0".join((*daemon.command, "")).encode()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if file.read_bytes() == wanted:
                return Identity.of(int(file.parent.name))
    return None


def _reap(pid: int) -> None:
    """Collect a process that is our own child, or it would stay a zombie until we end."""
    if child := _children.get(pid):
        child.poll()
