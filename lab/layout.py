"""Where the lab lives on this machine, and the names and addresses that it uses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "v1.34.10"
CONTEXT = "aik-lab"
API_SERVER = "https://172.30.0.1:6443"
POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
CLUSTER_DNS = "10.96.0.10"

SOURCE = Path(__file__).parent


@dataclass(frozen=True)
class Node:
    """One of the lab's nodes; `number` is 1, 2 or 3."""

    number: int

    @property
    def name(self) -> str:
        """The node's name in the cluster, `lab-1` and so on."""
        return f"lab-{self.number}"

    @property
    def address(self) -> str:
        """The node's IPv4 address, which sits on the loopback interface."""
        return f"172.30.0.{self.number}"

    @property
    def pods(self) -> str:
        """The node's share of the pod network, a /24."""
        return f"10.244.{self.number}.0/24"

    @property
    def gateway(self) -> str:
        """The address of the node's bridge, which its pods use as their router."""
        return f"10.244.{self.number}.1"

    @property
    def bridge(self) -> str:
        """The node's bridge interface."""
        return f"aik-lab{self.number}"

    @property
    def zone(self) -> str:
        """The node's zone, `lab-a` and so on."""
        return f"lab-{'abc'[self.number - 1]}"

    @property
    def home(self) -> Path:
        """The node's directory below the lab's state."""
        return state() / "nodes" / self.name

    @property
    def socket(self) -> Path:
        """The socket of the node's containerd, below /run because sockets do not outlive a boot."""
        return Path("/run/aik-lab") / self.name / "containerd.sock"


NODES = (Node(1), Node(2), Node(3))


def cache() -> Path:
    """Return the directory of what can be made again: sources, binaries, images."""
    return Path(os.environ.get("AIK_LAB_CACHE") or Path.home() / ".cache" / "aik-lab").absolute()


def state() -> Path:
    """Return the directory of this lab: keys, databases, node contents, pid files, logs."""
    return Path(os.environ.get("AIK_LAB_STATE") or "/var/lib/aik-lab").absolute()


def logs() -> Path:
    """Return the directory of the logs, one file per step and daemon."""
    return state() / "logs"


def kubeconfig() -> Path:
    """Return the path of the administrator's kubeconfig."""
    return state() / "kubeconfig"


def binary(name: str) -> Path:
    """Return the path of a cached program by its name."""
    return cache() / "bin" / name
