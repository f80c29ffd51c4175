"""Autoscalers as declared: what they may do, and whether they can."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from conformance.cluster import ref
from conformance.evidence import Lens, Question
from conformance.pods import condition, moment
from conformance.waiting import wait_until

if TYPE_CHECKING:
    from conformance.cluster import Object
    from conformance.evidence import Answer
    from conformance.platform import Autoscaler

_YOUNG = timedelta(minutes=2)  # until the first metrics of new pods arrive
_PATIENCE, _PAUSE = 40.0, 10.0  # seconds: a metrics server that starts again misses two rounds
_KIND = "horizontalpodautoscalers"


@dataclass(frozen=True)
class Scaler:
    """A HorizontalPodAutoscaler at one moment."""

    item: Object
    now: datetime

    @property
    def ref(self) -> str:
        """Return `namespace/name`."""
        return ref(self.item)

    @property
    def minimum(self) -> int:
        """Return the fewest replicas; the API's own default is 1."""
        given = self.item["spec"].get("minReplicas")
        return 1 if given is None else int(given)

    @property
    def maximum(self) -> int:
        """Return the most replicas."""
        return int(self.item["spec"]["maxReplicas"])

    @property
    def cpu_targets(self) -> tuple[int, ...]:
        """Return the uses of CPU that it aims at, in percent of the requests."""
        metrics = self.item["spec"].get("metrics") or ()
        found = (one.get("resource") or one.get("containerResource") or {} for one in metrics)
        return tuple(
            int(one["target"]["averageUtilization"])
            for one in found
            if one.get("name") == "cpu" and one["target"].get("averageUtilization") is not None
        )

    @property
    def held(self) -> bool:
        """Say whether it is told never to add replicas."""
        up = (self.item["spec"].get("behavior") or {}).get("scaleUp") or {}
        return bool(up.get("selectPolicy") == "Disabled")

    @property
    def young(self) -> bool:
        """Say whether it is too new to have seen metrics."""
        created = moment(self.item["metadata"].get("creationTimestamp"))
        return created is not None and self.now - created < _YOUNG

    @property
    def replicas(self) -> int | None:
        """Return how many replicas it sees, None before it has looked."""
        found = (self.item.get("status") or {}).get("currentReplicas")
        return None if found is None else int(found)

    @property
    def measured(self) -> bool:
        """Say whether it has a current value for a metric."""
        return any(one for one in (self.item.get("status") or {}).get("currentMetrics") or ())

    def says(self, name: str) -> tuple[bool, str]:
        """Return whether one of its conditions holds, and its own words."""
        found = condition(self.item, name)
        told = f"{found.get('status')} ({found.get('reason')}: {found.get('message')})"
        return found.get("status") == "True", told if found else "is not said"

    @property
    def able(self) -> bool:
        """Say whether it can scale by what it measures."""
        return self.measured and self.says("AbleToScale")[0] and self.says("ScalingActive")[0]


@dataclass(frozen=True)
class Scaling:
    """Reads autoscalers by what they scale. `UndecidedError` where the API did not answer."""

    lens: Lens

    def of(self, declared: Autoscaler) -> tuple[Scaler, ...]:
        """Return every autoscaler of the declared target, whoever made it."""
        return _of(declared, self.lens.look(_ALL))

    def patient(self, declared: Autoscaler) -> tuple[Scaler, ...]:
        """Return the same, after a while if it cannot scale at first sight."""

        def settled(answer: Answer) -> bool:
            if answer.error:
                return True
            found = _of(declared, answer)
            return not found or all(one.able or one.young for one in found)

        return _of(declared, wait_until(self.lens, _ALL, settled, limit=_PATIENCE, interval=_PAUSE))


_ALL = Question("kubernetes.list", _KIND, {"kind": _KIND})


def _of(declared: Autoscaler, answer: Answer) -> tuple[Scaler, ...]:
    found = (Scaler(one, answer.time) for one in answer.value)
    return tuple(one for one in found if _targets(one, declared))


def _targets(scaler: Scaler, declared: Autoscaler) -> bool:
    target = scaler.item["spec"]["scaleTargetRef"]
    return (
        scaler.item["metadata"]["namespace"] == declared.namespace
        and f"{target['kind']}/{target['name']}" == declared.target
    )
