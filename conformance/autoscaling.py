"""Autoscalers: who decides how many replicas a workload has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.cluster import Cluster, Object
    from conformance.workloads import Controller


@dataclass(frozen=True)
class Autoscaling:
    """Reads HorizontalPodAutoscalers, whoever made them."""

    cluster: Cluster

    def of(self, workload: Controller) -> Object | None:
        """Return the autoscaler that scales a workload; None where nobody does."""
        found = self.cluster.within("horizontalpodautoscalers", workload.namespace)
        name = workload.item["metadata"]["name"]
        return next((one for one in found if _targets(one, str(workload.kind), name)), None)

    def bounds(self, workload: Controller) -> tuple[int, int] | None:
        """Return the fewest and the most replicas that its autoscaler allows, if it has one."""
        found = self.of(workload)
        if found is None:
            return None
        least = found["spec"].get("minReplicas")
        return (1 if least is None else int(least)), int(found["spec"]["maxReplicas"])


def _targets(scaler: Object, kind: str, name: str) -> bool:
    target = scaler["spec"]["scaleTargetRef"]
    return bool(target["kind"] == kind and target["name"] == name)
