"""The cluster's network on one machine: node addresses, pod networks, service proxy."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import subprocess
from pathlib import Path

import yaml

from lab import layout, machine, pki, steps
from lab.files import write
from lab.supervisor import Daemon
from lab.web import answers

CNI_PROGRAMS = Path("/usr/lib/cni")
CHAIN = "AIK-LAB"
OURS = (CHAIN, "KUBE-")
# Pods talk to pods and to no other network, whatever the machine forwards otherwise.
OWN_RULES = f"""\
*filter
:{CHAIN} - [0:0]
-A {CHAIN} -s {layout.POD_NETWORK} -d {layout.POD_NETWORK} -j ACCEPT
-A {CHAIN} -s {layout.POD_NETWORK} -j REJECT
-A {CHAIN} -d {layout.POD_NETWORK} -j REJECT
COMMIT
"""
PROXY_HEALTH = "http://172.30.0.1:10256/healthz"


def prepare() -> None:
    """Add node addresses, the route to services and the forwarding rules; write CNI files."""
    for node in layout.NODES:
        steps.output_of(["ip", "address", "replace", f"{node.address}/32", "dev", "lo"])
        _write_pod_network(node)
    # Without it a machine that has no default route cannot reach a service address,
    # and one that has would use an outside address as the source.
    gateway = layout.NODES[0].address
    steps.output_of(["ip", "route", "replace", layout.SERVICE_NETWORK, "dev", "lo", "src", gateway])
    steps.output_of(["iptables-restore", "-w", "--noflush"], stdin=OWN_RULES)
    jump = ["FORWARD", "-j", CHAIN]
    there = subprocess.run(["iptables", "-w", "-C", *jump], capture_output=True, check=False)
    if there.returncode != 0:
        steps.output_of(["iptables", "-w", "-I", *jump])


def restore() -> None:
    """Take away what `prepare`, kube-proxy, kubelet and the bridge plugin added."""
    for family in ("iptables", "ip6tables"):
        if shutil.which(family):
            _remove_rules(family)
    _ignore_absent(["ip", "route", "del", layout.SERVICE_NETWORK, "dev", "lo"])
    for node in layout.NODES:
        _ignore_absent(["ip", "link", "del", node.bridge])
        _ignore_absent(["ip", "address", "del", f"{node.address}/32", "dev", "lo"])


def proxy() -> Daemon:
    """Return the one kube-proxy: all nodes share this machine's network, and so its rules."""
    home = layout.state() / "kube-proxy"
    user = pki.issue("kube-proxy", pki.authority("ca"), common_name="system:kube-proxy")
    kubeconfig = pki.write_kubeconfig(home / "kubeconfig", user)
    settings = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "hostnameOverride": layout.NODES[0].name,
        "bindAddress": layout.NODES[0].address,
        "healthzBindAddress": f"{layout.NODES[0].address}:10256",
        "metricsBindAddress": f"{layout.NODES[0].address}:10249",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": layout.POD_NETWORK,
        "mode": "iptables",
        "oomScoreAdj": 0,
        "nodePortAddresses": ["172.30.0.0/24"],
        "iptables": {"localhostNodePorts": False, "syncPeriod": "30s", "minSyncPeriod": "100ms"},
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
    config = write(home / "config.yaml", yaml.safe_dump(settings))
    return Daemon(
        name="kube-proxy",
        command=(str(layout.binary("kube-proxy")), f"--config={config}"),
        configuration=(config, kubeconfig),
        ready=lambda: answers(PROXY_HEALTH),
    )


def leases(node: layout.Node) -> Path:
    """Return the directory in which the CNI plugin notes which pod has which address."""
    return machine.RUNTIME / node.name / "leases"


def cached_results(node: layout.Node) -> list[Path]:
    """Return what libcni remembers of the node's pods, for which it knows only one place."""
    results = Path("/var/lib/cni/results")
    own = [path.name.removeprefix(f"{node.bridge}-") for path in results.glob(f"{node.bridge}-*")]
    pods = [name.removesuffix("-eth0") for name in own]
    loopbacks = [results / f"cni-loopback-{pod}-lo" for pod in pods]
    return [*results.glob(f"{node.bridge}-*"), *loopbacks]


def _write_pod_network(node: layout.Node) -> None:
    bridge = {
        "type": "bridge",
        "bridge": node.bridge,
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(leases(node)),
            "ranges": [[{"subnet": node.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    network = {"cniVersion": "1.0.0", "name": node.bridge, "plugins": [bridge]}
    write(node.home / "cni" / "10-lab.conflist", json.dumps(network, indent=1))


def _remove_rules(family: str) -> None:
    """Take the lab's and Kubernetes' chains out of the tables, and nothing else."""
    saved = steps.output_of([f"{family}-save"])
    if (kept := without_ours(saved)) != saved:
        steps.output_of([f"{family}-restore", "-w"], stdin=kept)


def without_ours(saved: str) -> str:
    """Return `iptables-save` text less the lab's and Kubernetes' chains."""
    kept = []
    for line in saved.splitlines():
        words = shlex.split(line) if line.startswith("-A ") else line[1:].split()
        chain = words[1:2] if line.startswith("-A ") else words[:1] if line.startswith(":") else []
        target = words[words.index("-j") + 1 :][:1] if "-j" in words else []
        if not any(name.startswith(OURS) for name in (*chain, *target)):
            kept.append(line)
    return "\n".join(kept) + "\n"


def _ignore_absent(command: list[str]) -> None:
    with contextlib.suppress(steps.StepError):
        steps.output_of(command)
