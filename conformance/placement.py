"""Nodes, and the rules that keep pods apart on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.cluster import labels, selects
from conformance.pods import ROLLOUT, condition, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from conformance.cluster import Cluster, Object
    from conformance.platform import Workload
    from conformance.workloads import Controller

HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
_WIDER = frozenset(
    {
        ZONE,
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
    }
)
_VIRTUAL = {"type": "virtual-kubelet", "eks.amazonaws.com/compute-type": "fargate"}
_PASSING = "node.kubernetes.io/"  # taints that come and go with the state of a node
_REPELLING = frozenset({"NoSchedule", "NoExecute"})


@dataclass(frozen=True)
class Node:
    """A node."""

    item: Object

    @property
    def name(self) -> str:
        """Return its name."""
        return str(self.item["metadata"]["name"])

    @property
    def created(self) -> datetime | None:
        """Return when it joined."""
        return moment(self.item["metadata"].get("creationTimestamp"))

    @property
    def ready(self) -> bool:
        """Say whether its kubelet reports that it is ready."""
        return condition(self.item, "Ready").get("status") == "True"

    @property
    def virtual(self) -> bool:
        """Say whether no DaemonSet can run there, because no machine stands behind it."""
        return any(labels(self.item).get(key) == value for key, value in _VIRTUAL.items())

    @property
    def zone(self) -> str:
        """Return its zone, empty where nobody says."""
        return labels(self.item).get(ZONE, "")

    @property
    def taints(self) -> str:
        """Return its taints as kubectl writes them."""
        found = self.item["spec"].get("taints") or ()
        return ", ".join(f"{one['key']}={one.get('value') or ''}:{one['effect']}" for one in found)

    def young(self, now: datetime) -> bool:
        """Say whether it joined less than the time of a rollout ago."""
        return self.created is not None and now - self.created < ROLLOUT

    def exempt(self, workload: Workload) -> bool:
        """Say whether the platform section exempts it, by a label `key` or `key=value`."""
        for one in workload.exempt_nodes:
            key, equals, value = one.partition("=")
            carried = labels(self.item).get(key)
            if carried is not None and (not equals or carried == value):
                return True
        return False

    def admits(self, template: Object) -> bool:
        """Say whether pods of a template may be placed here, apart from the node's passing state.

        What the template itself demands of a node does not count: that is a choice.
        """
        tolerations = template.get("tolerations") or ()
        return all(
            any(_tolerates(one, taint) for one in tolerations)
            for taint in self.item["spec"].get("taints") or ()
            if taint["effect"] in _REPELLING and not taint["key"].startswith(_PASSING)
        )


@dataclass(frozen=True)
class Rule:
    """A rule that separates pods. `selecting`: it finds the pods that carry it.

    `skew` is how uneven a spread may be; None for anti-affinity, which allows no two.
    """

    topology: str
    required: bool
    selecting: bool
    skew: int | None
    replicas: int

    @property
    def spreads(self) -> bool:
        """Say whether it keeps the pods of one workload from standing on one host."""
        loose = self.skew is not None and self.skew >= max(2, self.replicas)
        return self.selecting and not loose and self.topology in {HOST, *_WIDER}

    @property
    def told(self) -> str:
        """Return it in words."""
        kind = "anti-affinity" if self.skew is None else f"spread with maxSkew {self.skew}"
        force = "required" if self.required else "preferred"
        aim = "selects its own pods" if self.selecting else "selects none of its own pods"
        return f"{force} {kind} over {self.topology}, {aim}"


@dataclass(frozen=True)
class Placement:
    """Reads nodes and rules. Raises `UndecidedError` where the API did not answer."""

    cluster: Cluster

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Return all nodes."""
        return tuple(Node(one) for one in self.cluster.all("nodes"))

    def hosts(self, workload: Controller) -> tuple[Node, ...]:
        """Return the nodes that could carry a workload, cordoned ones included."""
        return tuple(one for one in self.nodes if one.ready and one.admits(workload.template))

    def zones(self, names: Iterable[str]) -> str:
        """Return how many of the named nodes stand in which zone."""
        wanted = set(names)
        found = Counter(one.zone or "no zone given" for one in self.nodes if one.name in wanted)
        return ", ".join(f"{zone}: {number}" for zone, number in sorted(found.items()))

    def rules(self, workload: Controller) -> tuple[Rule, ...]:
        """Return the rules of a workload's template that separate pods."""
        return tuple(_rules(workload))


def _rules(workload: Controller) -> Iterator[Rule]:
    template, carried = workload.template, workload.template_labels
    affinity = (template.get("affinity") or {}).get("podAntiAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    terms = [(one, True) for one in required]
    terms += [(one["podAffinityTerm"], False) for one in preferred]
    for term, must in terms:
        own = _reaches_own(term, workload.namespace) and selects(term.get("labelSelector"), carried)
        yield Rule(str(term.get("topologyKey") or ""), must, own, None, workload.desired)
    for one in template.get("topologySpreadConstraints") or ():
        must = one.get("whenUnsatisfiable") == "DoNotSchedule"
        own = selects(one.get("labelSelector"), carried)
        skew = int(one["maxSkew"])
        yield Rule(str(one["topologyKey"]), must, own, skew, workload.desired)


def _reaches_own(term: Object, namespace: str) -> bool:
    """Say whether a term looks into its own namespace (a selector of namespaces may not tell)."""
    named, chosen = term.get("namespaces") or (), term.get("namespaceSelector")
    if not named and chosen is None:
        return True
    implied = {"kubernetes.io/metadata.name": namespace}
    return namespace in named or selects(chosen, implied)


def _tolerates(toleration: Object, taint: Object) -> bool:
    key, effect = toleration.get("key"), toleration.get("effect")
    if effect and effect != taint["effect"]:
        return False
    if toleration.get("operator") == "Exists":
        return not key or bool(key == taint["key"])
    return bool(
        key == taint["key"] and (toleration.get("value") or "") == (taint.get("value") or "")
    )
