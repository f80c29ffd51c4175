"""Whether what must scale by itself is told to, and can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.platform import Autoscaler
    from conformance.scaling import Scaler, Scaling
    from conformance.verdict import Verdict


@pytest.mark.control("PLT-RES-008")
def test_an_autoscaler_has_the_declared_bounds(
    autoscaler: Autoscaler, scaling: Scaling, verdict: Verdict
) -> None:
    """Exactly one autoscaler drives the target, within the declared bounds and by CPU.

    Whoever made it: another controller may own it. How many replicas there are now
    says nothing about its bounds.
    """
    found = scaling.of(autoscaler)
    if not _one(autoscaler, found, verdict):
        return
    scaler = found[0]
    verdict.expect(
        (scaler.minimum, scaler.maximum) == (autoscaler.minimum, autoscaler.maximum),
        subject=scaler.ref,
        claim="has the declared bounds",
        observed=f"{scaler.minimum} to {scaler.maximum} replicas",
        expected=f"{autoscaler.minimum} to {autoscaler.maximum}",
        advice="set spec.minReplicas and spec.maxReplicas",
    )
    verdict.expect(
        not scaler.held,
        subject=scaler.ref,
        claim="may add replicas",
        observed=f"behavior {scaler.item['spec'].get('behavior') or 'by default'}",
        expected="a policy for scaling up that is not Disabled",
        advice="remove spec.behavior.scaleUp.selectPolicy",
    )
    if autoscaler.cpu_percent is not None:
        verdict.expect(
            autoscaler.cpu_percent in scaler.cpu_targets,
            subject=scaler.ref,
            claim="follows the declared use of CPU",
            observed=", ".join(f"{one} %" for one in scaler.cpu_targets) or "no target for CPU",
            expected=f"{autoscaler.cpu_percent} % of the requests",
            advice="set a Resource metric for cpu with that averageUtilization",
        )


@pytest.mark.control("PLT-RES-009")
def test_an_autoscaler_can_scale(
    autoscaler: Autoscaler, scaling: Scaling, verdict: Verdict
) -> None:
    """The autoscaler gets its metrics, may change the target, and the target is within bounds.

    That it has nothing to do just now hides nothing: whether metrics arrive is said
    apart. One that is new has not measured yet.
    """
    found = scaling.patient(autoscaler)
    if not _one(autoscaler, found, verdict):
        return
    scaler = found[0]
    if scaler.young and not scaler.able:
        verdict.undecided(
            subject=scaler.ref,
            claim="can scale",
            reason="it was made less than two minutes ago and has no metrics yet; look again",
        )
        return
    for name, advice in (
        ("AbleToScale", "see why the target's scale cannot be read or set"),
        ("ScalingActive", "see that metrics-server answers and every container has requests"),
    ):
        holds, told = scaler.says(name)
        verdict.expect(
            holds,
            subject=scaler.ref,
            claim=f"is {name}",
            observed=told,
            expected="True",
            advice=advice,
        )
    verdict.expect(
        scaler.measured,
        subject=scaler.ref,
        claim="has a current value for its metric",
        observed=str((scaler.item.get("status") or {}).get("currentMetrics")),
        expected="at least one value",
        advice="see that the metrics of its pods are there: kubectl top pods",
    )
    verdict.expect(
        scaler.replicas is not None and scaler.minimum <= scaler.replicas <= scaler.maximum,
        subject=scaler.ref,
        claim="keeps its target within bounds",
        observed=f"{scaler.replicas} replicas",
        expected=f"{scaler.minimum} to {scaler.maximum}",
        advice="replicas of 0 switch an autoscaler off: scale the target up once",
    )


def _one(autoscaler: Autoscaler, found: tuple[Scaler, ...], verdict: Verdict) -> bool:
    return verdict.expect(
        len(found) == 1,
        subject=autoscaler.ref,
        claim="is driven by exactly one autoscaler",
        observed=", ".join(one.ref for one in found) or "none",
        expected="one HorizontalPodAutoscaler",
        advice="create it, or remove the ones that fight over the target",
    )
