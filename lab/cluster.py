"""Bring the whole lab up and down."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
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
    watching,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.supervisor import Daemon

# Measured from empty, and rounded up: sources and builds, then images in three nodes, volumes.
CACHE_GIB = 10.0
STATE_GIB = 8.0
WARM_GIB = 2.0
# What a purge removes, by name, because the directory may be one that somebody else uses too.
STATE = ("control-plane", "kube-proxy", "logs", "nodes", "pki", "run", "volumes")
STATE_FILES = ("kubeconfig", "machine.json", "broken.json", "lock")


def up(deploy: Callable[[], None]) -> None:
    """Bring up the cluster with its addons; what already runs as it should is left alone.

    `deploy` puts the platform on it, as soon as it can, while the rest is still compiled.
    """
    _require_space()
    debian.install()
    # One compiler at a time uses both cores; packages are unpacked beside it.
    with ThreadPoolExecutor(1) as compiling, ThreadPoolExecutor(1) as unpacking:
        try:
            compiled = {
                program: compiling.submit(building.build, program)
                for program in (*building.FIRST, building.COREDNS, building.METRICS_SERVER)
            }
            unpacked = [unpacking.submit(images.layers, image) for image in packaged()]
            for program in building.FIRST:
                compiled[program].result()
            _start_cluster()
            for layers in unpacked:
                layers.result()
            described = (path.name for path in images.described())
            loading.load(name for name in described if name not in addons.PODS)
            _add("coredns", compiled[building.COREDNS])
            with steps.step("wait for DNS", layout.logs() / "kubectl.log"):
                addons.await_dns()
            supervisor.bring_up([watching.daemon()])
            metrics = compiled[building.METRICS_SERVER]
            # It needs a while to measure, so it comes before the platform if it is there yet.
            early = metrics.done()
            if early:
                _add("metrics-server", metrics)
            deploy()
            if not early:
                _add("metrics-server", metrics)
            addons.await_metrics()
        except BaseException:
            compiling.shutdown(wait=False, cancel_futures=True)
            unpacking.shutdown(wait=False, cancel_futures=True)
            steps.abandon()
            raise


def down(*, purge: bool) -> None:
    """Stop everything the lab started and put the machine back; `purge` also removes its data."""
    with steps.step("stop kubelets, pods and control plane"):
        supervisor.stop("lab-watch")
        supervisor.stop(
            "kubelet-*", "kube-proxy", "kube-scheduler", "kube-controller-manager", "lab-volumes"
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
        for name in STATE:
            shutil.rmtree(layout.state() / name, ignore_errors=True)
        for name in STATE_FILES:
            (layout.state() / name).unlink(missing_ok=True)
        with suppress(OSError):
            layout.state().rmdir()  # only if nobody else has anything in it
        steps.say(
            f"removed the lab from {layout.state()}; the cache {layout.cache()} stays (see `prune`)"
        )


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
        supervisor.stop(*(f"kubelet-{node.name}" for node in lost))
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


def _add(name: str, compiled: Future[Path]) -> None:
    """Put an addon on the cluster as soon as its program is compiled."""
    compiled.result()
    loading.load([name])
    addons.apply((name,))


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
    found = [images.read(path) for path in images.described()]
    return list({image.packages: image for image in found if image.packages}.values())


def _size(directory: Path) -> int:
    """Return the bytes that a directory occupies."""
    if not directory.exists():
        return 0
    command = ["du", "--summarize", "--block-size=1", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return int((done.stdout.split() or ["0"])[0])
