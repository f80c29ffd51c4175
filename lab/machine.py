"""What the lab changes on the machine itself, and how it puts it back."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from pathlib import Path

from lab import layout, steps
from lab.files import write

GIB = 1024**3
CGROUPS = Path("/sys/fs/cgroup")
PROC_SYS = Path("/proc/sys")
OWN_GROUP = "aik-lab"
RUNTIME = Path("/run/aik-lab")

# What pods, three kubelets on one machine and (later) Elasticsearch need.
WANTED = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/bridge/bridge-nf-call-iptables": "1",
    "fs/inotify/max_user_instances": "8192",
    "fs/inotify/max_user_watches": "1048576",
    "vm/max_map_count": "262144",
}
# What kubelet and kube-proxy set on their own; remembered, to be put back.
TOUCHED = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/conf/all/route_localnet",
)


def require_root() -> None:
    """Refuse to go on without root, which namespaces, mounts and iptables need."""
    if os.geteuid() != 0:
        raise steps.StepError("the lab needs root: run it as root or with sudo")


def require_space(path: Path, needed_gib: float) -> None:
    """Refuse to go on when the file system of `path` has less than `needed_gib` GiB free."""
    free = shutil.disk_usage(path).free / GIB
    if free < needed_gib:
        raise steps.StepError(
            f"the lab still needs {needed_gib:.0f} GiB on the disk of {path}, {free:.1f} GiB are "
            "free: make room, or let AIK_LAB_CACHE and AIK_LAB_STATE point to a larger disk"
        )
    steps.say(f"disk of {path}: {free:.0f} GiB free, {needed_gib:.0f} GiB needed")


def prepare() -> None:
    """Set kernel parameters, mount propagation and control groups for the nodes."""
    parameters, shared_root = _recall()
    for name in (*WANTED, *TOUCHED):
        with contextlib.suppress(OSError):
            parameters.setdefault(name, (PROC_SYS / name).read_text().strip())
    _remember(parameters, shared_root=root_is_shared() if shared_root is None else shared_root)
    for name, value in WANTED.items():
        _set_kernel_parameter(name, value)
    if not root_is_shared():
        # Volumes with mount propagation (HostToContainer) are refused on a private root.
        steps.output_of(["mount", "--make-shared", "/"])
    for node in layout.NODES:
        _make_group(f"{OWN_GROUP}/{node.name}")


def restore() -> None:
    """Put back what `prepare` and the daemons changed; the lab's processes must be gone."""
    parameters, shared_root = _recall()
    unmount_below(layout.state())
    unmount_below(RUNTIME)
    shutil.rmtree(RUNTIME, ignore_errors=True)
    _remove_groups()
    for name, value in parameters.items():
        with contextlib.suppress(OSError):
            (PROC_SYS / name).write_text(value)
    if shared_root is False:
        steps.output_of(["mount", "--make-private", "/"])
    _memory_file().unlink(missing_ok=True)


def root_is_shared(mountinfo: str | None = None) -> bool:
    """Tell whether mounts below / propagate to the containers that ask for it."""
    text = mountinfo if mountinfo is not None else Path("/proc/self/mountinfo").read_text()
    roots = [line.split() for line in text.splitlines() if line.split()[4] == "/"]
    return any(field.startswith("shared:") for field in (roots[-1] if roots else []))


def mounts_below(directory: Path, mountinfo: str | None = None) -> list[str]:
    """Return the mount points in a directory, the innermost and latest first."""
    text = mountinfo if mountinfo is not None else Path("/proc/self/mountinfo").read_text()
    points = [line.split()[4] for line in text.splitlines()]
    plain = [point.replace("\\040", " ") for point in points]
    return [point for point in reversed(plain) if Path(point).is_relative_to(directory)]


def unmount_below(directory: Path) -> None:
    """Unmount everything in a directory."""
    for point in mounts_below(directory):
        steps.output_of(["umount", "--lazy", point])


def hierarchies() -> list[Path]:
    """Return where processes have control groups: one root with v2, one per controller with v1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [
        path
        for path in sorted(CGROUPS.iterdir())
        if path.is_dir() and not path.is_symlink() and path.name != "unified"
    ]


def own_processes(below: str = OWN_GROUP) -> set[int]:
    """Return the pids in a control group of the lab: containers and nothing else."""
    pids: set[int] = set()
    for group in (one for root in hierarchies() for one in _groups(root / below)):
        with contextlib.suppress(OSError):
            pids.update(int(line) for line in (group / "cgroup.procs").read_text().split())
    return pids


def _groups(top: Path) -> list[Path]:
    """Return a control group and all below it; one that ends meanwhile is left out."""
    return [Path(place) for place, _, _ in os.walk(top)]


def _make_group(name: str) -> None:
    for root in hierarchies():
        current = root
        for part in Path(name).parts:
            _hand_down_controllers(current)
            current /= part
            current.mkdir(exist_ok=True)
            for setting in ("cpuset.cpus", "cpuset.mems"):
                # A v1 cpuset starts empty, and an empty one accepts no process.
                own = current / setting
                if own.exists() and root != CGROUPS and not own.read_text().strip():
                    own.write_text((current.parent / setting).read_text())
        _hand_down_controllers(current)


def _hand_down_controllers(group: Path) -> None:
    """Let the groups below a v2 group use its controllers, which they may not by default."""
    offered = group / "cgroup.controllers"
    if group.is_relative_to(CGROUPS) and offered.exists():
        present = (group / "cgroup.subtree_control").read_text().split()
        for controller in set(offered.read_text().split()) - set(present):
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _remove_groups(patience: float = 5.0) -> None:
    """Remove the lab's control groups; the kernel needs a moment after the last process."""
    end = time.monotonic() + patience
    while True:
        # runc also makes groups in the otherwise unused v2 hierarchy of a hybrid machine.
        roots = {*hierarchies(), CGROUPS / "unified"}
        left = [root / OWN_GROUP for root in roots if (root / OWN_GROUP).is_dir()]
        for top in left:
            for group in sorted(_groups(top), key=lambda path: -len(path.parts)):
                with contextlib.suppress(OSError):
                    group.rmdir()
        if not left:
            return
        if time.monotonic() > end:
            raise steps.StepError(f"control groups are still in use: {', '.join(map(str, left))}")
        time.sleep(0.1)


def _set_kernel_parameter(name: str, value: str) -> None:
    path = PROC_SYS / name
    try:
        current = path.read_text().strip()
        enough = name.startswith("fs/") and int(current) >= int(value)
        if current != value and not enough:
            path.write_text(value)
    except OSError as error:
        raise steps.StepError(f"the kernel parameter {name} cannot be set: {error}") from error


def _memory_file() -> Path:
    return layout.state() / "machine.json"


def _recall() -> tuple[dict[str, str], bool | None]:
    """Return what the machine was like: kernel parameters, and whether its root was shared."""
    try:
        found = json.loads(_memory_file().read_text())
        return dict(found["sysctl"]), found["shared_root"]
    except (OSError, ValueError, KeyError):
        return {}, None


def _remember(parameters: dict[str, str], *, shared_root: bool) -> None:
    content = {"sysctl": parameters, "shared_root": shared_root}
    write(_memory_file(), json.dumps(content, indent=1))
