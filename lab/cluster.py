"""Bring the whole lab up and down."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from lab import (
    addons,
    api,
    building,
    control_plane,
    debian,
    images,
    layout,
    loading,
    machine,
    network,
    nodes,
    steps,
    supervisor,
)

if TYPE_CHECKING:
    from pathlib import Path

    from lab.supervisor import Daemon

# Measured from empty, and rounded up: sources and builds, then images in three nodes, volumes.
CACHE_GIB = 10.0
STATE_GIB = 8.0
WARM_GIB = 2.0
# Which program an image of the lab's own carries; the others are made of packages.
CARRIED = {"coredns": building.COREDNS, "metrics-server": building.METRICS_SERVER}


def up() -> None:
    """Bring up the cluster with its addons; what already runs as it should is left alone."""
    _require_space()
    debian.install()
    # One compiler at a time uses both cores; packages are unpacked beside it.
    with ThreadPoolExecutor(1) as compiling, ThreadPoolExecutor(1) as unpacking:
        try:
            programs = {
                program: compiling.submit(building.build, program)
                for program in (*building.FIRST, *building.THEN)
            }
            unpacked = [unpacking.submit(images.layers, image) for image in packaged()]
            for program in building.FIRST:
                programs[program].result()
            _start_cluster()
            _load_images(programs, unpacked)
        except BaseException:
            compiling.shutdown(wait=False, cancel_futures=True)
            unpacking.shutdown(wait=False, cancel_futures=True)
            steps.abandon()
            raise
    with steps.step("wait for DNS", layout.logs() / "kubectl.log"):
        addons.await_dns()


def down(*, purge: bool) -> None:
    """Stop everything the lab started and put the machine back; `purge` also removes its data."""
    with steps.step("stop kubelets, pods and control plane"):
        supervisor.stop(
            "kubelet-*", "kube-proxy", "kube-scheduler", "kube-controller-manager", "lab-*"
        )
        # It would wait a minute for its watchers; its data is etcd's.
        supervisor.stop("kube-apiserver", patience=1.0)
        nodes.clear(list(layout.NODES))
        supervisor.stop("containerd-*", "etcd")
    with steps.step(
        "put the machine back: iptables, network, mounts, control groups, kernel parameters"
    ):
        network.restore()
        machine.restore()
    if purge:
        shutil.rmtree(layout.state(), ignore_errors=True)
        steps.say(f"removed {layout.state()}; the cache {layout.cache()} stays (see `prune`)")


def prune() -> None:
    """Remove from the cache what the present sources do not use."""
    before = _size(layout.cache())
    keep = building.kept() | images.kept(packaged())
    for name in ("programs", "layers"):
        for path in (layout.cache() / name).glob("*"):
            if path not in keep:
                path.unlink()
    with steps.step("remove sources and intermediate results of the compiler"):
        for name in ("go-build", "go-mod"):
            shutil.rmtree(layout.cache() / name, ignore_errors=True)
    steps.say(f"{(before - _size(layout.cache())) / machine.GIB:.1f} GiB freed in {layout.cache()}")


def _the_others() -> list[Daemon]:
    return [
        control_plane.controller_manager(),
        control_plane.scheduler(),
        network.proxy(),
        *(nodes.kubelet(node) for node in layout.NODES),
    ]


def _start_cluster() -> None:
    with steps.step("prepare the machine: kernel parameters, control groups, addresses"):
        nodes.refuse_beside_another_kubelet()
        lost = nodes.dead()
        nodes.clear(lost)
        machine.prepare()
        network.prepare()
    with steps.step("start etcd, API server and three container runtimes", layout.logs()):
        runtimes = [nodes.containerd(node) for node in layout.NODES]
        supervisor.bring_up([control_plane.etcd(), *runtimes])
        supervisor.bring_up([control_plane.api_server()])
        control_plane.write_admin_kubeconfig()
    loading.load(["pause"])
    with steps.step(
        "start controllers, scheduler, service proxy and three kubelets", layout.logs()
    ):
        addons.apply(addons.BASE)
        api.mark_lost(lost)
        supervisor.bring_up([control_plane.volumes()])
        supervisor.bring_up(_the_others())
        addons.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=90s")


def _load_images(
    programs: dict[building.Program, Future[Path]], unpacked: list[Future[list[images.Layer]]]
) -> None:
    for name, program in CARRIED.items():
        programs[program].result()
        loading.load([name])
        addons.apply((name,))
    for layers in unpacked:
        layers.result()
    loading.load(sorted(path.parent.name for path in images.DIRECTORY.glob("*/image.yaml")))


def _require_space() -> None:
    """Refuse to begin what could not be finished; what is there already need not be added."""
    cache, state = layout.cache(), layout.state()
    for directory in (cache, state):
        directory.mkdir(parents=True, exist_ok=True)
    needed = {
        cache: WARM_GIB if layout.binary("metrics-server").exists() else CACHE_GIB,
        state: WARM_GIB if layout.NODES[-1].home.exists() else STATE_GIB,
    }
    if cache.stat().st_dev == state.stat().st_dev:
        needed = {state: needed[cache] + needed[state]}
    for directory, gib in needed.items():
        machine.require_space(directory, gib)


def packaged() -> list[images.Image]:
    """Return the images that need packages, each list of packages once."""
    described = [images.read(path.parent) for path in sorted(images.DIRECTORY.glob("*/image.yaml"))]
    return list({image.packages: image for image in described if image.packages}.values())


def _size(directory: Path) -> int:
    """Return the bytes that a directory occupies."""
    if not directory.exists():
        return 0
    command = ["du", "--summarize", "--block-size=1", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return int((done.stdout.split() or ["0"])[0])
