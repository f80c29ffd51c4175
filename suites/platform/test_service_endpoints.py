"""Services: something ready stands behind each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.endpoints import Backing, Endpoints
    from conformance.platform import Platform, Service
    from conformance.verdict import Verdict
    from conformance.workloads import Workloads


@pytest.mark.control("PLT-WL-005")
def test_a_service_has_ready_endpoints(
    service: Service,
    platform: Platform,
    endpoints: Endpoints,
    workloads: Workloads,
    verdict: Verdict,
) -> None:
    """Each port of the Service has at least one ready endpoint; a headless one has all replicas.

    An endpoint that is published although its pod is not ready does not count. Who
    fills the endpoints does not matter: a selector, an operator, or somebody by hand.
    """
    found = endpoints.find(service.ref)
    if service.pending and not (found and found.ready):
        verdict.undecided(
            subject=service.ref,
            claim="has ready endpoints",
            reason=f"nothing is expected behind it yet ({service.pending}): "
            f"{found.told if found else 'the Service does not exist'}",
        )
        return
    verdict.expect(
        found is not None,
        subject=service.ref,
        claim="exists",
        observed="found" if found else "no Service of that name",
        advice="create it, or correct its name in the platform section",
    )
    if found is None:
        return
    if found.external_name:
        verdict.undecided(
            subject=service.ref,
            claim="has ready endpoints",
            reason=f"it is another name for {found.external_name}: what stands there is not in "
            "the API; PLT-SVC-001 asks it",
        )
        return
    needed = _needed(service, found, platform, workloads) if found.headless else 1
    verdict.expect(
        len(found.ready) >= needed,
        subject=service.ref,
        claim="has ready endpoints",
        expected=f"at least {needed}",
        observed=f"{len(found.ready)} ready; {found.told}",
        advice="compare its selector with the labels of the pods, and see why they are not ready",
    )
    for name, number in found.ports:
        verdict.expect(
            bool(found.offering(name)),
            subject=f"{service.ref}:{number}",
            claim="has a ready endpoint for the port",
            observed=", ".join(one.name for one in found.offering(name)) or found.told,
            advice="a targetPort by name must be the name of a port of the pods' containers",
        )


def _needed(service: Service, found: Backing, platform: Platform, workloads: Workloads) -> int:
    """Return how many pods a headless Service must list: all of the workloads that it selects."""
    component = [
        one
        for one in platform.workloads
        if one.component == service.component and one.namespace == service.namespace
    ]
    present = [workloads.find(one) for one in component if not one.absent]
    selected = [one for one in present if one and found.selects(one.template_labels)]
    return max(1, sum(one.desired for one in selected))
