"""What nodes offer, which of them can be used, and where they stand."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from conformance.amounts import Amount, total
from conformance.cluster import labels
from conformance.evidence import Lens, Question
from conformance.pods import Pod, condition, moment
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.cluster import Object

_ALIVE = timedelta(seconds=40)  # the node controller's own patience with a lease
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_REPELS = frozenset({"NoSchedule", "NoExecute"})
_RELEASE = re.compile(r"v?([0-9]+)\.([0-9]+)")
_UNSAID = "1000000"  # pods that a node takes which does not say how many


@dataclass(frozen=True)
class Node:
    """A node, with the last sign of life of its kubelet."""

    item: Object
    renewed: datetime | None
    now: datetime

    @property
    def name(self) -> str:
        """Return its name."""
        return str(self.item["metadata"]["name"])

    @property
    def labels(self) -> dict[str, str]:
        """Return its labels."""
        return labels(self.item)

    @property
    def host(self) -> str:
        """Return what is equal for nodes that share one kernel: machine ids are often cloned."""
        info = (self.item.get("status") or {}).get("nodeInfo") or {}
        return str(info.get("bootID") or self.name)

    @property
    def region(self) -> str:
        """Return its region, empty where no label says it."""
        return self._placed("region")

    @property
    def zone(self) -> str:
        """Return its zone, empty where no label says it."""
        return self._placed("zone")

    @property
    def kubelet(self) -> str:
        """Return the version of its kubelet, as it says itself."""
        info = (self.item.get("status") or {}).get("nodeInfo") or {}
        return str(info.get("kubeletVersion") or "")

    @property
    def unfit(self) -> str:
        """Return why it cannot take the platform's pods, empty where it can."""
        if condition(self.item, "Ready").get("status") != "True":
            return "is not Ready"
        if self.renewed is None:
            return "has no lease: its kubelet shows no sign of life"
        if self.now - self.renewed > _ALIVE:
            return f"is Ready by name only: its kubelet was last heard of at {self.renewed}"
        if self.item["spec"].get("unschedulable"):
            return "is cordoned"
        for one in _PRESSURES:
            if condition(self.item, one).get("status") == "True":
                return f"has {one}"
        return "is kept for the control plane" if self.controls else ""

    @property
    def controls(self) -> bool:
        """Say whether it is kept for the control plane."""
        return any(
            one["key"] in _CONTROL_PLANE and one["effect"] in _REPELS for one in self._taints
        )

    @property
    def allocatable(self) -> Amount:
        """Return what pods may reserve; undecided where the node does not say."""
        return self._offer("allocatable")

    @property
    def capacity(self) -> Amount:
        """Return what the machine has, as the node sees it."""
        return self._offer("capacity")

    def takes(self, pod: Pod) -> bool:
        """Say whether taints and the pod's node selector let it run here."""
        wanted = pod.item["spec"].get("nodeSelector") or {}
        if any(self.labels.get(key) != value for key, value in wanted.items()):
            return False
        tolerated = pod.item["spec"].get("tolerations") or ()
        repelling = (one for one in self._taints if one["effect"] in _REPELS)
        return all(any(_tolerates(one, taint) for one in tolerated) for taint in repelling)

    @property
    def _taints(self) -> tuple[Object, ...]:
        return tuple(self.item["spec"].get("taints") or ())

    def _placed(self, what: str) -> str:
        older = f"failure-domain.beta.kubernetes.io/{what}"
        return self.labels.get(f"topology.kubernetes.io/{what}") or self.labels.get(older, "")

    def _offer(self, name: str) -> Amount:
        found = (self.item.get("status") or {}).get(name) or {}
        if not found.get("cpu") or not found.get("memory"):
            raise UndecidedError(f"the node {self.name} does not say its {name}")
        return Amount.of({"pods": _UNSAID} | found)


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in {None, "", taint["effect"]}:
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint["key"]:
        return False
    return toleration.get("operator") == "Exists" or (toleration.get("value") or "") == (
        taint.get("value") or ""
    )


@dataclass(frozen=True)
class Capacity:
    """Reads nodes and pods. Raises `UndecidedError` where the API did not answer."""

    lens: Lens

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Return every node."""
        leases = self.lens.look(_listing("leases"))
        renewed = {
            one["metadata"]["name"]: moment(one["spec"].get("renewTime"))
            for one in leases.value
            if one["metadata"].get("namespace") == "kube-node-lease"
        }
        return tuple(
            Node(one, renewed.get(one["metadata"]["name"]), leases.time)
            for one in self.lens.look(_listing("nodes")).value
        )

    @property
    def fit(self) -> tuple[Node, ...]:
        """Return the nodes that can take the platform's pods."""
        return tuple(one for one in self.nodes if not one.unfit)

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Return the pods that have not ended: those that reserve something or wait to."""
        found = (Pod(one) for one in self.lens.look(_listing("pods")).value)
        return tuple(one for one in found if not one.over)

    @property
    def kubernetes(self) -> str:
        """Return the version of the API server."""
        return str(self.lens.look(Question("kubernetes.version", "version")).value["gitVersion"])


def _listing(kind: str) -> Question:
    return Question("kubernetes.list", kind, {"kind": kind})


def offered(nodes: Iterable[Node]) -> Amount:
    """Return what nodes offer together: those on one host no more than the host has."""
    hosts: dict[str, list[Node]] = defaultdict(list)
    for one in nodes:
        hosts[one.host].append(one)
    return total(_of_host(group) for group in hosts.values())


def _of_host(nodes: list[Node]) -> Amount:
    together = total(one.allocatable for one in nodes)
    if len(nodes) == 1:
        return together
    largest = nodes[0].capacity
    for one in nodes[1:]:
        largest = largest.most(one.capacity)
    return Amount(
        min(together.cpu, largest.cpu), min(together.memory, largest.memory), together.pods
    )


def release(text: str) -> tuple[int, int]:
    """Return major and minor of a Kubernetes version, whatever a vendor hangs on to it."""
    found = _RELEASE.match(text)
    if found is None:
        raise UndecidedError(f"{text!r} is no version of Kubernetes")
    return int(found[1]), int(found[2])
