"""Say how the lab is, without changing anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab import layout, steps, supervisor
from lab.files import write

NAMES = (
    "lab-watch",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "lab-volumes",
    "kube-proxy",
    *(f"containerd-{node.name}" for node in layout.NODES),
    *(f"kubelet-{node.name}" for node in layout.NODES),
)


def report() -> tuple[list[str], bool]:
    """Return lines about what runs and what is missing, and whether all is well."""
    found = [_daemon(name) for name in NAMES]
    if layout.kubeconfig().exists() and layout.binary("kubectl").exists():
        found += _cluster()
    well = all(good for _, good in found)
    lines = [line for line, _ in found]
    broken = layout.state() / "broken.json"
    if broken.exists():
        lines.append(f"broken on purpose, see {broken}; `python -m lab mend --all` mends it")
    end = (
        "everything runs"
        if well
        else "not everything runs: `python -m lab up` starts what is missing"
    )
    return [*lines, end], well


def merge_kubeconfig() -> Path:
    """Add the lab's context to the user's own kubeconfig, and return the path of that."""
    own = Path.home() / ".kube" / "config"
    env = {**os.environ, "KUBECONFIG": f"{kubeconfig()}:{own}"}
    command = [str(layout.binary("kubectl")), "config", "view", "--flatten"]
    merged = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    return write(own, merged)


def kubeconfig() -> Path:
    """Return the path of the lab's kubeconfig; raise StepError if there is none yet."""
    path = layout.kubeconfig()
    if not path.exists():
        raise steps.StepError(f"{path} does not exist yet: run `python -m lab up` first")
    return path


def _daemon(name: str) -> tuple[str, bool]:
    pid_file = supervisor.directory() / f"{name}.json"
    log = layout.logs() / f"{name}.log"
    found = supervisor.recorded(pid_file)
    if found and found[0].alive():
        return f"{name:26} runs, pid {found[0].pid}", True
    why = "ended without being asked" if found else "not started"
    last = steps.tail(log, 1)
    return f"{name:26} MISSING: {why}; log {log}" + (f"\n  | {last[0]}" if last else ""), False


def _cluster() -> list[tuple[str, bool]]:
    """Return lines about nodes and pods that are not as they should be."""
    kubectl = [str(layout.binary("kubectl")), "--kubeconfig", str(layout.kubeconfig())]
    wide = ["--request-timeout=5s", "--no-headers"]
    try:
        nodes = steps.output_of([*kubectl, "get", "nodes", *wide]).splitlines()
        pods = steps.output_of([*kubectl, "get", "pods", "-A", *wide]).splitlines()
    except steps.StepError as error:
        return [(f"the API does not answer: {error}", False)]
    unready = [line for line in nodes if line.split()[1] != "Ready"]
    waiting = [line for line in pods if not _pod_is_well(line)]
    lines = [
        (
            f"{'nodes':26} {len(nodes) - len(unready)} of {len(layout.NODES)} Ready",
            len(nodes) - len(unready) == len(layout.NODES),
        ),
        (f"{'pods':26} {len(pods) - len(waiting)} of {len(pods)} well", not waiting),
    ]
    return [*lines, *((f"  {line}", False) for line in (*unready, *waiting))]


def _pod_is_well(line: str) -> bool:
    """Judge a line of `kubectl get pods -A`: namespace, name, ready, status, ..."""
    ready, phase = line.split()[2:4]
    have, _, want = ready.partition("/")
    return phase == "Completed" or (phase == "Running" and have == want)
