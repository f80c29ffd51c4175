"""Start again what ended without being asked, as an init system would."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

from lab import control_plane, layout, network, nodes, steps, supervisor
from lab.supervisor import Daemon

NAME = "lab-watch"
EVERY_SECONDS = 5.0
# A daemon that cannot live is tried again once in a while, with its failures in its log.
BETWEEN_STARTS = 30.0


def daemon() -> Daemon:
    """Return the watcher itself, which is started anew when the lab's code changes."""
    return Daemon(
        name=NAME,
        command=(sys.executable, "-m", "lab", "watch", str(layout.state())),
        configuration=tuple(sorted(layout.SOURCE.glob("*.py"))),
        env={"PYTHONPATH": str(layout.SOURCE.parent)},
        ready=lambda: True,
    )


def daemons() -> list[Daemon]:
    """Return what is watched, in the order of its start."""
    return [
        control_plane.etcd(),
        *(nodes.containerd(node) for node in layout.NODES),
        control_plane.api_server(),
        control_plane.volumes(),
        control_plane.controller_manager(),
        control_plane.scheduler(),
        network.proxy(),
        *(nodes.kubelet(node) for node in layout.NODES),
    ]


def watch() -> None:
    """Look after the daemons until this process is ended; not while a command changes the lab."""
    last: dict[str, float] = {}
    while True:
        time.sleep(EVERY_SECONDS)
        if not supervisor.ended():
            continue
        try:
            with supervisor.alone():
                start_again(last)
        except steps.StepError as error:
            steps.say(steps.failure(error))


def start_again(last: dict[str, float]) -> None:
    """Start what ended, unless its last start, in seconds of the monotonic clock, is too young."""
    names = supervisor.ended()
    for one in daemons():
        rested = time.monotonic() - last.get(one.name, -BETWEEN_STARTS) >= BETWEEN_STARTS
        if one.name in names and rested:
            last[one.name] = time.monotonic()
            steps.say(f"{datetime.now(UTC):%F %T} {one.name} ended, starting it again")
            supervisor.start(one)
