"""Service links: the names of Services do not become settings of products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.endpoints import Endpoints
    from conformance.links import Links
    from conformance.platform import Workload
    from conformance.verdict import Verdict
    from conformance.workloads import Workloads


@pytest.mark.control("PLT-WL-013")
def test_no_service_becomes_a_setting_of_a_product(
    workload: Workload,
    workloads: Workloads,
    endpoints: Endpoints,
    links: Links,
    verdict: Verdict,
) -> None:
    """No Service bears the name that begins the product's own environment variables.

    Kubernetes gives every container variables for the Services of its namespace. A
    product that reads `KAFKA_*` as its settings then finds `KAFKA_PORT=tcp://...`, and
    may not start the next time. Judged by the objects, because a pod that is older
    than the Service does not show it; and by the environment of the running containers.
    """
    found = workloads.of(workload)
    services = endpoints.within(found.namespace)
    linked = links.wanted(found)
    colliding = [one.name for one in services if links.collides(one, workload)]
    verdict.expect(
        not (linked and colliding),
        subject=workload.ref,
        claim="is given no Service's address as a setting",
        expected=f"no Service that gives {workload.env_prefix}_PORT, or service links off",
        observed=f"Services: {', '.join(colliding) or 'none collides'}; "
        f"service links {'on' if linked else 'off'}",
        advice="set enableServiceLinks: false in the template, or rename the Service",
    )
    similar = [one.name for one in services if links.resembles(one, workload)]
    if linked and similar:
        verdict.advise(
            subject=workload.ref,
            claim="is given no Service's address under its prefix",
            observed=f"{', '.join(similar)} add variables that begin with {workload.env_prefix}_",
        )
    for pod in found.staying:
        seen = links.environment(pod, workload)
        if seen.blind:
            verdict.advise(subject=pod.ref, claim="shows its environment", observed=seen.blind)
            continue
        verdict.expect(
            not seen.values,
            subject=pod.ref,
            claim="runs without a Service's address among its settings",
            observed=", ".join(seen.values) or "no such variable",
            advice="set enableServiceLinks: false in the template, and restart the pod",
        )
