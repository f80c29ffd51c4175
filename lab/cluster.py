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

COLD_GIB = 16.0
WARM_GIB = 5.0
# Which program an image of the lab's own carries; the others are made of packages.
CARRIED = {"coredns": building.COREDNS, "metrics-server": building.METRICS_SERVER}


def up() -> None:
    """Bring up the cluster with its addons; what already runs as it should is left alone."""
    cold = not layout.binary("kubectl").exists()
    machine.require_space(
        layout.cache(), COLD_GIB if cold else WARM_GIB, "sources, builds and images"
    )
    machine.require_space(layout.state(), WARM_GIB, "nodes and volumes")
    debian.install()
    # One compiler at a time uses both cores; packages are unpacked beside it.
    with ThreadPoolExecutor(1) as compiling, ThreadPoolExecutor(1) as unpacking:
        try:
            programs = {
                program: compiling.submit(building.build, program)
                for program in (*building.FIRST, *building.THEN)
            }
            unpacked = [unpacking.submit(images.layers, image) for image in _packaged()]
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
    keep = building.kept() | images.kept(_packaged())
    for name in ("programs", "layers"):
        for path in (layout.cache() / name).glob("*"):
            if path not in keep:
                path.unlink()
    with steps.step("remove sources and intermediate results of the compiler"):
        for name in ("go-build", "go-mod"):
            shutil.rmtree(layout.cache() / name, ignore_errors=True)
    steps.say(f"{(before - _size(layout.cache())) / machine.GIB:.1f} GiB freed in {layout.cache()}")


def control_plane_daemons() -> list[Daemon]:
    """Return the daemons that follow the API server."""
    return [
        control_plane.controller_manager(),
        control_plane.scheduler(),
        control_plane.volumes(),
        network.proxy(),
        *(nodes.kubelet(node) for node in layout.NODES),
    ]


def daemons() -> list[Daemon]:
    """Return every daemon of the lab in the order of their start."""
    runtimes = [nodes.containerd(node) for node in layout.NODES]
    return [control_plane.etcd(), *runtimes, control_plane.api_server(), *control_plane_daemons()]


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
        supervisor.bring_up(control_plane_daemons())
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


def _packaged() -> list[images.Image]:
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
