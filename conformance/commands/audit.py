"""Look at a cluster, judge it, write the report.

The tests run in a child process; the verdict is not the child's. What must be
there is written down before it starts, and the sealed ledger is judged against
that afterwards: a case that is missing is exit 2, whatever the child says.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.commands.common import (
    ROOT,
    add_cluster_options,
    add_map_options,
    constitution_of,
    print_json,
    refuse,
    say,
    unpacked,
    write,
)
from conformance.constitution import Constitution, Danger
from conformance.evidence import canonical, write_whole
from conformance.judgement import NOT_WHOLE, PROFILES, USAGE, Run, expected_cases, judge
from conformance.ledger import FILE, BrokenError, check_evidence, read
from reports import publish, summary

if TYPE_CHECKING:
    import argparse

EPILOG = """\
profiles:
  gate   read-only, for pipelines
  audit  read-only and canaries (needs --allow-canaries)
  full   everything, for lab and rehearsal clusters (needs every --allow flag)

examples:
  conformance audit                                  the current context, changing nothing
  conformance audit --profile audit --allow-canaries
  conformance audit --platform mine.yaml --context staging
  conformance audit --replay runs/20261124T101500Z   judge recorded evidence again
"""
_PATIENCE = 30  # seconds that an interrupted run has for cleaning up and sealing its record
_MEDDLING = {"CONFORMANCE_PLATFORM", "PYTHONOPTIMIZE", "PYTHONWARNINGS"}
_TAIL = 30  # lines of the child's log that are shown where it recorded nothing
_FLAGS = {
    Danger.CANARY: ("allow_canaries", "--allow-canaries", "writes canaries and removes them"),
    Danger.LOAD: ("allow_load", "--allow-load", "puts load on the platform"),
    Danger.DISRUPTIVE: ("allow_disruption", "--allow-disruption", "breaks things on purpose"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `audit`."""
    add_map_options(parser)
    add_cluster_options(parser)
    add = parser.add_argument
    add(
        "--profile",
        choices=tuple(PROFILES),
        default="gate",
        help="what must be decided (%(default)s)",
    )
    for name, flag, what in _FLAGS.values():
        add(flag, dest=name, action="store_true", help=f"allow what {what}")
    add(
        "--replay",
        type=Path,
        metavar="RUN",
        help="judge the evidence of an earlier run; touches no cluster",
    )
    add("--run-folder", type=Path, help="where the run is kept (default: runs/<UTC time>)")
    add("-n", "--workers", type=_count, default=0, metavar="N", help="judge in N processes")
    add("--no-allure", action="store_true", help="write Allure's results, but not its page")
    add("--json", action="store_true", help="print run.json instead of the summary")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Audit, judge, report; return the exit code of the verdict."""
    constitution = constitution_of(options)
    if options.replay:
        _as_recorded(options)
    _check(options)
    expected = expected_cases(constitution, options.profile)
    folder = _new_folder(options)
    if options.replay:
        _take_over(options, folder)
    write_whole(folder / "expected.json", canonical(expected))
    say(f"audit of {constitution.platform.name}: {len(expected)} cases, run {folder}")
    code = _watch(_command(options, folder), folder, len(expected))
    if not (folder / FILE).exists():
        log = (folder / "pytest.log").read_text(encoding="utf-8", errors="replace")
        say("\n".join(log.strip().splitlines()[-_TAIL:]))
        if code == USAGE:
            shutil.rmtree(folder)
            return USAGE
    judged = judge(folder, constitution)
    _report(judged, constitution, options)
    return judged.exit_code


def _check(options: argparse.Namespace) -> None:
    for danger in PROFILES[options.profile]:
        name, flag, what = _FLAGS.get(danger, ("", "", ""))
        if name and not getattr(options, name):
            refuse(
                f"the profile {options.profile} {what}: "
                f"allow it with {flag}, or choose another profile"
            )


def _as_recorded(options: argparse.Namespace) -> None:
    """Check the recorded run, and allow what was allowed then: nothing is touched again."""
    try:
        with unpacked(options.replay) as folder:
            opened, _, seal = read(folder)
            check_evidence(folder, seal)
    except BrokenError as broken:
        refuse(f"{options.replay} cannot be replayed: {broken}", NOT_WHOLE)
    options.profile = opened["profile"]
    for danger, (name, _, _) in _FLAGS.items():
        setattr(options, name, danger in opened["allowed"])


def _take_over(options: argparse.Namespace, folder: Path) -> None:
    """Put the recorded evidence into the new run, which is then judged from its own folder."""
    with unpacked(options.replay) as recorded:
        shutil.copytree(recorded / "evidence", folder / "evidence")
    options.replay = folder


def _new_folder(options: argparse.Namespace) -> Path:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    folder: Path = options.run_folder or Path("runs", now)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            refuse(f"{folder} is not empty; a run never writes over another, choose a new folder")
    except OSError as error:
        refuse(f"{folder} cannot be made: {error.strerror}; choose another with --run-folder")
    return folder.resolve()


def _command(options: argparse.Namespace, folder: Path) -> list[str]:
    # -P: the folder that the user stands in is no place to import from.
    command = [sys.executable, "-P", "-m", "pytest", str(ROOT / "suites"), "--whole", "-q"]
    command += ["-p", "no:cacheprovider", "-p", "xdist.plugin"]
    command += ["--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")]
    command += [
        "--run-folder",
        str(folder),
        "--map",
        str(options.map),
        "--profile",
        options.profile,
    ]
    for name in ("platform", "kubeconfig", "context", "route", "replay"):
        if getattr(options, name):
            command += [f"--{name}", str(getattr(options, name))]
    for name in ("allow_canaries", "allow_load", "allow_disruption"):
        if getattr(options, name):
            command.append("--" + name.replace("_", "-"))
    return command + (["-n", str(options.workers)] if options.workers else [])


def _watch(command: list[str], folder: Path, expected: int) -> int:
    """Run the child, show what it finds as it finds it; hand Ctrl-C on and wait for its end."""
    shown = _Progress(folder, expected)
    with (folder / "pytest.log").open("wb") as log:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
        )
        try:
            while child.poll() is None:
                shown.update()
                time.sleep(0.2)  # the terminal's pace; no verdict waits here
        except KeyboardInterrupt:
            say("\nstopping: the run will be recorded as incomplete (again Ctrl-C: at once)")
            child.send_signal(signal.SIGINT)
            with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
                child.wait(_PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # its workers too, whatever it left of them
            child.wait()
        shown.update(last=True)
    return child.returncode


def _environment() -> dict[str, str]:
    """Return the environment, without what would change the tests behind the command's back."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST") and name not in _MEDDLING
    }
    return {**kept, "PYTHONHASHSEED": "0", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


class _Progress:
    """Follows the ledger: a line per case, and on a terminal a line of what goes on."""

    def __init__(self, folder: Path, expected: int) -> None:
        self._folder = folder
        self._expected = expected
        self._counts: Counter[str] = Counter()
        self._read = 0
        self._start = time.monotonic()
        self._live = bool(sys.stderr) and sys.stderr.isatty()

    def update(self, *, last: bool = False) -> None:
        for case in self._new():
            self._counts[case["outcome"]] += 1
            if self._live:
                write(sys.stderr, "\r\x1b[K")
            reason = f"  {case['reason']}" if case["reason"] else ""
            done = sum(self._counts.values())
            say(f"[{done:>3}/{self._expected}] {case['outcome']:<14} {case['case']}{reason}"[:240])
        if self._live and not last:
            width = shutil.get_terminal_size().columns - 1
            write(sys.stderr, f"\r\x1b[K{self._line()}"[: width + 4])
        elif self._live:
            write(sys.stderr, "\r\x1b[K")

    def _line(self) -> str:
        counts = ", ".join(f"{n} {word}" for word, n in sorted(self._counts.items()))
        seconds = int(time.monotonic() - self._start)
        try:
            now = (self._folder / "now").read_text(encoding="utf-8")
        except OSError:
            now = "collecting"
        return f"{seconds // 60}:{seconds % 60:02} {counts or 'starting'} · {now}"

    def _new(self) -> list[dict[str, str]]:
        try:
            with (self._folder / FILE).open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        entries = [json.loads(line) for line in whole.splitlines()]
        return [one for one in entries if one.get("kind") == "case"]


def _report(judged: Run, constitution: Constitution, options: argparse.Namespace) -> None:
    try:
        publish(judged, constitution, judged.folder, allure_page=not options.no_allure)
    except OSError as error:
        say(f"the report could not be written: {error}; the record itself is in {judged.folder}")
    if options.json:
        print_json(judged.as_json())
    else:
        print(summary(judged, constitution))
