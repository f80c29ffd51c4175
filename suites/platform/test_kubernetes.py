"""Which Kubernetes it is, and where its nodes stand."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from conformance.capacity import release

if TYPE_CHECKING:
    from conformance.capacity import Capacity
    from conformance.platform import Platform
    from conformance.verdict import Verdict
    from conformance.workloads import Workloads

_SKEW = {True: 3, False: 2}  # minors that a kubelet may be behind, from 1.28 and before


@pytest.mark.control("PLT-CLU-004")
def test_kubernetes_is_of_a_supported_release(
    platform: Platform, capacity: Capacity, verdict: Verdict
) -> None:
    """The API server is as new as declared, and no kubelet is too far behind it or ahead.

    Every registered kubelet counts, also one that is out of service: it may return.
    What the mesh of the document supports is reported beside it.
    """
    server = release(capacity.kubernetes)
    verdict.expect(
        server >= release(platform.cluster.kubernetes),
        subject="API server",
        claim="is of a release that the platform supports",
        observed=capacity.kubernetes,
        expected=f"{platform.cluster.kubernetes} or newer",
        advice="upgrade the control plane",
    )
    behind = _SKEW[server >= (1, 28)]
    for node in capacity.nodes:
        with verdict.about(node.name):
            major, minor = release(node.kubelet)
            verdict.expect(
                major == server[0] and server[1] - behind <= minor <= server[1],
                subject=node.name,
                claim="has a kubelet that fits the API server",
                observed=f"{node.kubelet} beside {capacity.kubernetes}",
                expected=f"at most {behind} minors behind and none ahead",
                advice="upgrade or remove the node",
            )
    window = platform.cluster.mesh_supports
    if window and not release(window[0]) <= server <= release(window[1]):
        verdict.advise(
            subject="API server",
            claim="is of a release that the mesh was tested with",
            observed=f"{capacity.kubernetes}; the mesh supports {window[0]} to {window[1]}",
        )


@pytest.mark.control("PLT-CLU-005")
def test_nodes_stand_in_as_many_regions_as_documented(
    platform: Platform, capacity: Capacity, workloads: Workloads, verdict: Verdict
) -> None:
    """The nodes stand in as many regions as the document says.

    A node without the label may stand anywhere: where there is one, nothing is
    known of the number of regions, unless the others already make it too many.
    """
    wanted = platform.cluster.regions
    regions = Counter(one.region for one in capacity.nodes)
    silent = regions.pop("", 0)
    seen = ", ".join(f"{name}: {count} nodes" for name, count in sorted(regions.items()))
    claim = "stands in as many regions as documented"
    if len(regions) <= wanted and (silent or not regions):
        verdict.not_measured(
            subject="cluster",
            claim=claim,
            reason=f"{silent} nodes have no label topology.kubernetes.io/region ({seen or 'none'})",
        )
        return
    verdict.expect(
        len(regions) == wanted,
        subject="cluster",
        claim=claim,
        observed=seen,
        expected=f"{wanted}",
        advice="bring the document up to date: what it says of disasters no longer holds",
    )
    zones = {one.name: one.zone or "unknown" for one in capacity.nodes}
    for workload in platform.workloads:
        if workload.quorum and not workload.absent and (found := workloads.find(workload)):
            spread = Counter(zones.get(one.node, "nowhere") for one in found.staying)
            told = ", ".join(f"{zone}: {count}" for zone, count in sorted(spread.items()))
            verdict.advise(subject=workload.ref, claim="has its replicas in zones", observed=told)
