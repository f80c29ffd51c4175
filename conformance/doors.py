"""The ports of Services and the addresses behind them, and who may come to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.cluster import labels, ref, selects
from conformance.pods import Pod

if TYPE_CHECKING:
    from conformance.cluster import Cluster, Object
    from conformance.platform import Platform, Port, Service


@dataclass(frozen=True)
class Door:
    """One ready address behind a port of a Service, with the number that it listens on."""

    pod: Pod
    address: str
    port: int

    @property
    def target(self) -> dict[str, str]:
        """Return the pod as routes take it."""
        return {"namespace": self.pod.namespace, "name": self.pod.name, "ip": self.address}


@dataclass(frozen=True)
class Doors:
    """Reads Services and endpoint slices. `UndecidedError` where the API did not answer."""

    cluster: Cluster
    platform: Platform

    def offers(self, service: Service, port: Port) -> str | None:
        """Return the name under which the Service offers a port; None where it does not."""
        item = self.cluster.find("services", service.ref)
        found = (item["spec"].get("ports") or ()) if item else ()
        names = [str(one.get("name") or "") for one in found if one["port"] == port.port]
        return names[0] if names else None

    def behind(self, service: Service, name: str) -> tuple[Door, ...]:
        """Return the ready pods behind a port of a Service, by the port's name."""
        pods = {ref(one): Pod(one) for one in self.cluster.all("pods")}
        found: dict[str, Door] = {}
        for piece in self.cluster.within("endpointslices", service.namespace):
            if labels(piece).get("kubernetes.io/service-name") != service.name:
                continue
            numbers = [
                one["port"] for one in piece.get("ports") or () if (one.get("name") or "") == name
            ]
            for one in piece.get("endpoints") or ():
                pod = pods.get(f"{service.namespace}/{(one.get('targetRef') or {}).get('name')}")
                ready = (one.get("conditions") or {}).get("ready") is not False
                if numbers and ready and pod and pod.ready and not pod.deleting:
                    door = Door(pod, one["addresses"][0], numbers[0])
                    found.setdefault(pod.ref, door)  # a second slice: the other address family
        return tuple(found.values())

    def guarded(self, doors: tuple[Door, ...]) -> str:
        """Return what decides who may come to these pods, empty where anybody may.

        Where something decides, the runner's own position shows nothing: it may be let
        in or kept out where the callers that matter are not.
        """
        spaces = {one.name: one for one in self.platform.namespaces}
        for one in doors:
            space = spaces.get(one.pod.namespace)
            if not self.platform.mesh_absent and space is not None and space.mesh:
                return "the mesh"
            for policy in self.cluster.within("networkpolicies", one.pod.namespace):
                if _about_incoming(policy) and selects(
                    policy["spec"].get("podSelector") or {}, one.pod.labels
                ):
                    return f"the NetworkPolicy {ref(policy)}"
        return ""


def _about_incoming(policy: Object) -> bool:
    return "Ingress" in (policy["spec"].get("policyTypes") or ["Ingress"])
