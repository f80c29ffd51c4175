"""Debian packages that the lab needs on the machine."""

from __future__ import annotations

import os
import shutil
import subprocess

from lab import layout, steps

LIST = layout.SOURCE / "apt.txt"


def wanted() -> list[str]:
    """Return the names of the packages the lab needs."""
    lines = (line.partition("#")[0].strip() for line in LIST.read_text().splitlines())
    return [line for line in lines if line]


def missing() -> list[str]:
    """Return the names of the packages that are not installed."""
    form = "--showformat=${Package} ${db:Status-Status}\n"
    found = subprocess.run(
        ["dpkg-query", "--show", form, *wanted()], capture_output=True, text=True, check=False
    ).stdout
    installed = {line.split()[0] for line in found.splitlines() if line.endswith(" installed")}
    return [name for name in wanted() if name not in installed]


def install() -> None:
    """Install what is missing; a service that a package starts is not used by the lab."""
    names = missing()
    if not names:
        return
    if not shutil.which("apt-get"):
        raise steps.StepError(f"install these yourself, this is no Debian: {', '.join(names)}")
    log = layout.logs() / "apt.log"
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with steps.step(f"install {', '.join(names)}", log):
        steps.run(["apt-get", "update"], log, env=env)
        command = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
        steps.run(command, log, env=env)
