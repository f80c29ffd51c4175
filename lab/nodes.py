"""Three nodes on one machine: a containerd and a kubelet each, with an address of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import yaml

from lab import layout, machine, network, pki, steps, supervisor
from lab.files import write
from lab.supervisor import Daemon
from lab.web import answers

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
CONTAINERD = "/usr/bin/containerd"
DEVICE_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
# What the control plane and this machine's other work need, in millicores and MiB;
# the nodes share the rest, or each would promise the whole machine.
OTHER_CPU = 0
OTHER_MEMORY = 3072
EVICTION_MEMORY = 200
TERMINATION_SECONDS = 8.0
KILL_SECONDS = 30.0


def containerd(node: layout.Node) -> Daemon:
    """Return the node's containerd."""
    runtime = machine.RUNTIME / node.name
    runtime.mkdir(parents=True, exist_ok=True)
    settings = CONTAINERD_CONFIG.format(node=node, runtime=runtime, pause=PAUSE_IMAGE)
    config = write(node.home / "containerd.toml", settings)
    return Daemon(
        name=f"containerd-{node.name}",
        command=(CONTAINERD, "--config", str(config)),
        configuration=(config,),
        ready=lambda: _containerd_answers(node),
    )


def kubelet(node: layout.Node) -> Daemon:
    """Return the node's kubelet."""
    authority = pki.authority("ca")
    user = pki.issue(
        f"kubelet-{node.name}",
        authority,
        common_name=f"system:node:{node.name}",
        groups=["system:nodes"],
    )
    serving = pki.issue(
        f"kubelet-{node.name}-serving",
        authority,
        common_name=f"system:node:{node.name}",
        groups=["system:nodes"],
        hosts=[node.name, node.address],
    )
    kubeconfig = pki.write_kubeconfig(node.home / "kubelet.kubeconfig", user)
    # The lab has no outside: a pod that asks the node's resolver gets the cluster's.
    resolver = write(node.home / "resolv.conf", f"nameserver {layout.CLUSTER_DNS}\n")
    settings = yaml.safe_dump(_kubelet_settings(node, serving, resolver))
    config = write(node.home / "kubelet.yaml", settings)
    labels = {
        "topology.kubernetes.io/region": "lab",
        "topology.kubernetes.io/zone": node.zone,
    }
    return Daemon(
        name=f"kubelet-{node.name}",
        command=(
            str(layout.binary("kubelet")),
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={node.home / 'kubelet'}",
            f"--cert-dir={node.home / 'kubelet-pki'}",
            f"--hostname-override={node.name}",
            f"--node-ip={node.address}",
            f"--node-labels={','.join(f'{key}={value}' for key, value in labels.items())}",
        ),
        configuration=(config, kubeconfig),
        ready=lambda: answers(f"http://{node.address}:10248/healthz"),
    )


def refuse_beside_another_kubelet() -> None:
    """Refuse a machine that already is a node: all kubelets share one socket and some chains."""
    ours = any(supervisor.running_named(f"kubelet-{node.name}") for node in layout.NODES)
    if not ours and str(DEVICE_SOCKET) in Path("/proc/net/unix").read_text():
        raise steps.StepError("another kubelet runs on this machine, the lab would disturb it")


def dead() -> list[layout.Node]:
    """Return the nodes whose containerd does not run: nobody watches over what they left behind."""
    return [
        node for node in layout.NODES if not supervisor.running_named(f"containerd-{node.name}")
    ]


def clear(nodes: list[layout.Node]) -> None:
    """End the containers and shims of nodes, and remove their sockets, mounts and address leases.

    Containers are asked to end first, so that a database closes its files.
    """
    groups = [f"{machine.OWN_GROUP}/{node.name}" for node in nodes]

    def contained() -> set[int]:
        return {pid for group in groups for pid in machine.own_processes(group)}

    # containerd forgets them as soon as it sees the shims die, so they are noted first.
    sockets = [socket for node in nodes for socket in _shim_sockets(node)]
    _signal_all(contained(), signal.SIGTERM)
    end = time.monotonic() + TERMINATION_SECONDS
    while contained() and time.monotonic() < end:
        time.sleep(0.1)
    steps.wait_until(
        "the containers' processes end",
        lambda: not _kill_all(contained() | {pid for node in nodes for pid in _shims(node)}),
        within=KILL_SECONDS,
        every=0.1,
    )
    for node in nodes:
        runtime = machine.RUNTIME / node.name
        machine.unmount_below(runtime)
        machine.unmount_below(node.home)
        shutil.rmtree(runtime, ignore_errors=True)
        _remove_elsewhere(_log_links(node) + network.cached_results(node))
    _remove_elsewhere([*sockets, DEVICE_SOCKET] if len(nodes) == len(layout.NODES) else sockets)


def _shim_sockets(node: layout.Node) -> list[Path]:
    """Return the sockets of the node's shims, for which containerd knows only one place."""
    notes = (machine.RUNTIME / node.name).rglob("address")
    found: list[Path] = []
    for note in notes:
        with contextlib.suppress(OSError):  # containerd may be removing it just now
            found.append(Path(note.read_text().removeprefix("unix://")))
    return [path for path in found if path.is_socket()]


def _log_links(node: layout.Node) -> list[Path]:
    """Return the links to the node's logs, for which kubelet knows only one place."""
    links = Path("/var/log/containers").glob("*.log")
    return [link for link in links if link.is_symlink() and node.home in link.readlink().parents]


def _remove_elsewhere(files: list[Path]) -> None:
    """Remove files outside the lab's directories, and their directory if nobody else uses it."""
    for file in files:
        file.unlink(missing_ok=True)
    for directory in {file.parent for file in files}:
        with contextlib.suppress(OSError):
            directory.rmdir()
            directory.parent.rmdir()


def _shims(node: layout.Node) -> set[int]:
    """Return the pids of the node's shims, which have its socket on their command line."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            program = words[0].rpartition(b"/")[2]
            if program.startswith(b"containerd-shim") and str(node.socket).encode() in words:
                found.add(int(path.parent.name))
    return found


def _kill_all(pids: set[int]) -> set[int]:
    _signal_all(pids, signal.SIGKILL)
    return pids


def _signal_all(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _containerd_answers(node: layout.Node) -> bool:
    command = ["ctr", "--address", str(node.socket), "--timeout", "2s", "version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _kubelet_settings(node: layout.Node, serving: pki.Pair, resolver: Path) -> dict[str, object]:
    cores = os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    share_cpu = (cores * 1000 - OTHER_CPU) // len(layout.NODES)
    share_memory = (memory - OTHER_MEMORY) // len(layout.NODES)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "port": 10250,
        "readOnlyPort": 0,
        "healthzBindAddress": node.address,
        "healthzPort": 10248,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.pair("ca").certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "tlsMinVersion": "VersionTLS13",
        "containerRuntimeEndpoint": f"unix://{node.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{machine.OWN_GROUP}/{node.name}",
        "clusterDNS": [layout.CLUSTER_DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(resolver),
        "podLogsDir": str(node.home / "pod-logs"),
        "volumePluginDir": str(node.home / "volume-plugins"),
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "failSwapOn": False,
        # Images come from the lab, not from a registry: one that is collected is gone.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": f"{EVICTION_MEMORY}Mi", "nodefs.available": "1Gi"},
        "systemReserved": {
            "cpu": f"{cores * 1000 - share_cpu}m",
            "memory": f"{memory - share_memory - EVICTION_MEMORY}Mi",
        },
        "nodeStatusUpdateFrequency": "5s",
        "shutdownGracePeriod": "0s",
    }


CONTAINERD_CONFIG = """\
version = 2
root = "{node.home}/containerd"
state = "{runtime}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
]

[grpc]
address = "{node.socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "{node.home}/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
netns_mounts_under_state_dir = true
# Without CAP_SYS_RESOURCE nobody may lower an OOM score, and every sandbox would fail.
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{node.home}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{runtime}/runc"
"""
