"""Disruption budgets: how many pods of a workload may be taken away at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.cluster import ref, selects
from conformance.evidence import Question
from conformance.pods import Pod
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from conformance.cluster import Cluster, Object
    from conformance.evidence import Lens
    from conformance.workloads import Controller

_CREATED, _TOO_MANY = 201, 429


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget, and the pods of its namespace that it covers."""

    item: Object
    covered: tuple[Pod, ...]

    @property
    def ref(self) -> str:
        """Return `namespace/name`."""
        return ref(self.item)

    @property
    def allowed_now(self) -> int:
        """Return how many of its pods may go at this moment, as its controller says."""
        return int((self.item.get("status") or {}).get("disruptionsAllowed") or 0)

    @property
    def current(self) -> bool:
        """Say whether its controller has seen it as it is now."""
        seen = (self.item.get("status") or {}).get("observedGeneration")
        return bool(seen == self.item["metadata"].get("generation"))

    @property
    def allowed(self) -> int:
        """Return how many of its pods it lets go at once when all are healthy.

        Percentages are of all pods that it covers, and the API rounds them up.
        """
        spec = self.item["spec"]
        expected = int((self.item.get("status") or {}).get("expectedPods") or 0)
        total = max(len(self.covered), expected)
        if spec.get("maxUnavailable") is not None:
            return min(total, _scaled(spec["maxUnavailable"], total))
        kept = spec.get("minAvailable")
        return max(0, total - _scaled(1 if kept is None else kept, total))

    def __str__(self) -> str:
        """Return its name and what it demands."""
        wanted = {
            key: self.item["spec"][key]
            for key in ("minAvailable", "maxUnavailable", "selector")
            if self.item["spec"].get(key) is not None
        }
        return f"{self.ref} {wanted}"


@dataclass(frozen=True)
class Eviction:
    """What the API would do with a request to evict a pod. `answer` is its own words."""

    pod: Pod
    granted: bool
    answer: str


@dataclass(frozen=True)
class Budgets:
    """Reads budgets, and asks for evictions that are never made."""

    lens: Lens
    cluster: Cluster

    def within(self, namespace: str, attempt: int = 0) -> tuple[Budget, ...]:
        """Return the budgets of a namespace."""
        kind = "poddisruptionbudgets"
        asked = Question("kubernetes.list", kind, {"kind": kind}, attempt=attempt)
        items = [
            one for one in self.lens.look(asked).value if one["metadata"]["namespace"] == namespace
        ]
        pods = [Pod(one) for one in self.cluster.within("pods", namespace)]
        return tuple(
            Budget(item, tuple(one for one in pods if not one.over and _covers(item, one)))
            for item in items
        )

    def over(self, workload: Controller, attempt: int = 0) -> tuple[Budget, ...]:
        """Return the budgets that cover at least one pod of a workload, or would cover new ones."""
        own = {one.ref for one in workload.pods}
        return tuple(
            budget
            for budget in self.within(workload.namespace, attempt)
            if own & {one.ref for one in budget.covered}
            or selects(budget.item["spec"].get("selector"), workload.template_labels)
        )

    def evict(self, pod: Pod) -> Eviction:
        """Ask for the eviction of a pod, as a dry run: it is decided, and not made."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {"dryRun": ["All"]},  # said twice: here and in the request
        }
        asked = Question(
            "kubernetes.dry_create",
            f"{pod.ref}/eviction",
            {
                "kind": "pods",
                "namespace": pod.namespace,
                "subresource": "eviction",
                "body": body,
            },
        )
        answer = self.lens.look(asked).value
        status, content = answer["status"], answer["body"]
        said = content.get("message") if isinstance(content, dict) else str(content)
        told = f"{status} {said or ''}".strip()
        if status == _TOO_MANY and _by_budget(content):
            return Eviction(pod, granted=False, answer=told)
        if status in {200, _CREATED}:
            return Eviction(pod, granted=True, answer=told)
        raise UndecidedError(f"the eviction of {pod.ref} was not decided: the API answered {told}")


def _by_budget(content: Object) -> bool:
    """Say whether a budget refused, and not the API's own limit of requests."""
    causes = (content.get("details") or {}).get("causes") or ()
    return any(one.get("reason") == "DisruptionBudget" for one in causes)


def _covers(item: Object, pod: Pod) -> bool:
    return selects(item["spec"].get("selector"), pod.labels)


def _scaled(value: int | str, total: int) -> int:
    """Return a count, or a percentage of `total` rounded up."""
    if isinstance(value, str) and value.endswith("%"):
        return -(-total * int(value.removesuffix("%")) // 100)
    return int(value)
