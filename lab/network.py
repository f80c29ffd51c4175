"""The cluster's network on one machine: node addresses, pod networks, service proxy."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

import yaml

from lab import layout, machine, pki, steps
from lab.supervisor import Daemon
from lab.web import answers

CNI_PROGRAMS = Path("/usr/lib/cni")
MARK = "aik-lab"
PROXY_HEALTH = "http://172.30.0.1:10256/healthz"


def prepare() -> None:
    """Add node addresses, the route to services and the forwarding rules; write CNI files."""
    for node in layout.NODES:
        steps.output_of(["ip", "address", "replace", f"{node.address}/32", "dev", "lo"])
        _write_pod_network(node)
    # Without it a machine that has no default route cannot reach a service address,
    # and one that has would use an outside address as the source.
    gateway = layout.NODES[0].address
    steps.output_of(
        ["ip", "route", "replace", layout.SERVICE_NETWORK, "dev", "lo", "src", gateway]
    )
    for rule in _rules():
        if subprocess.run(["iptables", "-w", "-C", *rule], capture_output=True, check=False).returncode:
            steps.output_of(["iptables", "-w", "-I", *rule])


def restore() -> None:
    """Take away what `prepare`, kube-proxy and the CNI plugins added."""
    if layout.binary("kube-proxy").exists() and shutil.which("iptables"):
        steps.run([layout.binary("kube-proxy"), "--cleanup"], layout.logs() / "kube-proxy-cleanup.log")
        _remove_chains()
        for rule in _rules():
            while not subprocess.run(
                ["iptables", "-w", "-D", *rule], capture_output=True, check=False
            ).returncode:
                continue
    _ignore_absent(["ip", "route", "del", layout.SERVICE_NETWORK, "dev", "lo"])
    for node in layout.NODES:
        _ignore_absent(["ip", "link", "del", node.bridge])
        _ignore_absent(["ip", "address", "del", f"{node.address}/32", "dev", "lo"])


def proxy() -> Daemon:
    """Return the one kube-proxy, which serves all nodes because they share this machine's network."""
    home = layout.state() / "kube-proxy"
    home.mkdir(parents=True, exist_ok=True)
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
    config = home / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    return Daemon(
        name="kube-proxy",
        command=(str(layout.binary("kube-proxy")), f"--config={config}"),
        configuration=(config, kubeconfig),
        ready=lambda: answers(PROXY_HEALTH),
    )


def leases(node: layout.Node) -> Path:
    """Return the directory in which the CNI plugin notes which pod has which address."""
    return machine.RUNTIME / node.name / "leases"


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
    port_map = {"type": "portmap", "capabilities": {"portMappings": True}}
    network = {"cniVersion": "1.0.0", "name": node.bridge, "plugins": [bridge, port_map]}
    file = node.home / "cni" / "10-lab.conflist"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(network, indent=1))


def _rules() -> list[list[str]]:
    """Return the lab's own rules: forward to and from pods, whatever the machine's policy is."""
    comment = ["-m", "comment", "--comment", MARK, "-j", "ACCEPT"]
    return [
        ["FORWARD", "-s", layout.POD_NETWORK, "-d", layout.POD_NETWORK, *comment],
    ]


def _remove_chains() -> None:
    """Remove the chains of kubelet and of the port map plugin, which have no cleanup of their own."""
    saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    table = ""
    chains: list[tuple[str, str]] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        name = line[1:].split()[0] if line.startswith(":") else ""
        if name.startswith(("KUBE-", "CNI-")):
            chains.append((table, name))
    for line_table, rule in _jumps(saved, {name for _, name in chains}):
        _ignore_absent(["iptables", "-w", "-t", line_table, "-D", *rule])
    for action in ("-F", "-X"):
        for chain_table, name in chains:
            _ignore_absent(["iptables", "-w", "-t", chain_table, action, name])


def _jumps(saved: str, chains: set[str]) -> list[tuple[str, list[str]]]:
    """Return the rules in `iptables-save` text that jump into chains, as table and words after -A."""
    import shlex

    found: list[tuple[str, list[str]]] = []
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        words = shlex.split(line) if line.startswith("-A ") else []
        if words and "-j" in words and words[words.index("-j") + 1] in chains:
            found.append((table, words[1:]))
    return found


def _ignore_absent(command: list[str]) -> None:
    with contextlib.suppress(steps.StepError):
        steps.output_of(command)
