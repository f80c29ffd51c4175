"""Services and what really stands behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.cluster import labels, ref, selects
from conformance.pods import Pod

if TYPE_CHECKING:
    from conformance.cluster import Cluster, Object


@dataclass(frozen=True)
class Endpoint:
    """One thing behind a Service. `ports` are the names of the Service's ports that it offers.

    `ready` needs two witnesses where it is a pod: the slice says so, and the pod does.
    `publishNotReadyAddresses` makes the slice say so of any pod.
    """

    name: str
    ready: bool
    ports: frozenset[str]
    state: str


@dataclass(frozen=True)
class Backing:
    """A Service as the cluster has it, and its endpoints."""

    item: Object
    endpoints: tuple[Endpoint, ...]

    @property
    def name(self) -> str:
        """Return its name."""
        return str(self.item["metadata"]["name"])

    @property
    def external_name(self) -> str:
        """Return the name that an ExternalName Service stands for, else empty."""
        spec = self.item["spec"]
        return str(spec.get("externalName") or "") if spec.get("type") == "ExternalName" else ""

    @property
    def headless(self) -> bool:
        """Say whether it has no address of its own."""
        return bool(self.item["spec"].get("clusterIP") == "None")

    @property
    def selector(self) -> dict[str, str]:
        """Return the labels that its pods carry, empty where it selects none by itself."""
        return self.item["spec"].get("selector") or {}

    @property
    def ports(self) -> tuple[tuple[str, int], ...]:
        """Return name (empty where there is only one) and number of its ports."""
        found = self.item["spec"].get("ports") or ()
        return tuple((str(one.get("name") or ""), int(one["port"])) for one in found)

    @property
    def ready(self) -> tuple[Endpoint, ...]:
        """Return the endpoints that are ready."""
        return tuple(one for one in self.endpoints if one.ready)

    @property
    def told(self) -> str:
        """Return its selector and its endpoints, each with its state."""
        found = ", ".join(f"{one.name}: {one.state}" for one in self.endpoints)
        return f"selector {self.selector}; endpoints: {found or 'none'}"

    def offering(self, port: str) -> tuple[Endpoint, ...]:
        """Return the ready endpoints that offer a port of the Service, by its name."""
        return tuple(one for one in self.ready if port in one.ports)

    def selects(self, carried: dict[str, str]) -> bool:
        """Say whether pods with these labels belong to it."""
        return bool(self.selector) and selects({"matchLabels": self.selector}, carried)


@dataclass(frozen=True)
class Endpoints:
    """Reads Services and endpoint slices. Raises `UndecidedError` where the API did not answer."""

    cluster: Cluster

    def within(self, namespace: str) -> tuple[Backing, ...]:
        """Return the Services of a namespace."""
        return tuple(self._backing(one) for one in self.cluster.within("services", namespace))

    def find(self, reference: str) -> Backing | None:
        """Return the Service called `namespace/name`; None where it does not exist."""
        item = self.cluster.find("services", reference)
        return self._backing(item) if item else None

    def _backing(self, item: Object) -> Backing:
        namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
        pods = {one["metadata"]["name"]: Pod(one) for one in self.cluster.within("pods", namespace)}
        found: dict[str, Endpoint] = {}
        for piece in self.cluster.within("endpointslices", namespace):
            if labels(piece).get("kubernetes.io/service-name") != name:
                continue
            ports = frozenset(str(one.get("name") or "") for one in piece.get("ports") or ())
            for one in piece.get("endpoints") or ():
                new = _endpoint(one, ports, pods)
                old = found.get(new.name)  # a second slice: the other address family, more ports
                found[new.name] = (
                    Endpoint(new.name, old.ready or new.ready, old.ports | new.ports, new.state)
                    if old
                    else new
                )
        return Backing(item, tuple(found.values()))


def _endpoint(one: Object, ports: frozenset[str], pods: dict[str, Pod]) -> Endpoint:
    conditions = one.get("conditions") or {}
    ready = conditions.get("ready") is not False  # absent means: nobody says that it is not
    target = one.get("targetRef") or {}
    if target.get("kind") != "Pod":
        name = target.get("name") or ", ".join(one.get("addresses") or ())
        return Endpoint(str(name), ready, ports, "ready" if ready else "not ready")
    pod = pods.get(target["name"])
    if pod is None:
        return Endpoint(target["name"], ready=False, ports=ports, state="its pod does not exist")
    answers = pod.ready and not pod.deleting and not pod.over
    state = "ready" if ready and answers else "the pod is not ready" if ready else "not ready"
    return Endpoint(ref(pod.item).partition("/")[2], ready and answers, ports, state)
