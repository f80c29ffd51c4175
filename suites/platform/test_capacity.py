"""Whether the cluster is as large as the platform needs it to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.amounts import Amount, total
from conformance.capacity import offered
from conformance.packing import Packing
from conformance.quantity import quantity

if TYPE_CHECKING:
    from conformance.capacity import Capacity
    from conformance.platform import Platform
    from conformance.verdict import Verdict


@pytest.mark.control("PLT-CLU-001")
def test_enough_nodes_are_ready(platform: Platform, capacity: Capacity, verdict: Verdict) -> None:
    """As many nodes as declared can take the platform's pods.

    A node counts when it is Ready, heard of within the lease's time, not cordoned,
    under no pressure and not kept for the control plane. More nodes than declared
    may be in any state: one that is being drained is no loss.
    """
    nodes = capacity.nodes
    fit = [one for one in nodes if not one.unfit]
    others = "; ".join(f"{one.name} {one.unfit}" for one in nodes if one.unfit)
    verdict.expect(
        len(fit) >= platform.cluster.nodes,
        subject="cluster",
        claim="has as many nodes as declared that can take pods",
        observed=f"{len(fit)} of {len(nodes)}" + (f"; {others}" if others else ""),
        expected=f"at least {platform.cluster.nodes}",
        advice="repair, uncordon or add nodes",
    )
    hosts = {one.host for one in fit}
    if len(hosts) < len(fit):
        verdict.advise(
            subject="cluster",
            claim="has a machine for every node",
            observed=f"{len(fit)} nodes share {len(hosts)} running kernels: they fail together",
        )


@pytest.mark.control("PLT-CLU-002")
def test_nodes_offer_the_declared_size(
    platform: Platform, capacity: Capacity, verdict: Verdict
) -> None:
    """The nodes that can take pods offer the declared cores and memory.

    What counts is what pods may reserve. Nodes that share one kernel often advertise
    the whole machine each: together they count for no more than the machine.
    """
    fit = capacity.fit
    if not verdict.at_least(1, fit, subject="cluster", claim="has nodes that can take pods"):
        return
    there = offered(fit)
    summed = total(one.allocatable for one in fit)
    beside = f"capacity {total(one.capacity for one in fit)}"
    if summed != there:
        beside += f"; nodes of one host say {summed} together, which is more than it has"
    wanted = Amount(quantity(str(platform.cluster.cores)), quantity(platform.cluster.memory))
    for claim, seen, least in (
        ("offers the declared cores", there.cpu, wanted.cpu),
        ("offers the declared memory", there.memory, wanted.memory),
    ):
        verdict.expect(
            seen >= least,
            subject="cluster",
            claim=claim,
            observed=f"{there} allocatable on {len(fit)} nodes ({beside})",
            expected=f"at least {wanted}",
            advice="add nodes or larger ones; cordoned and broken nodes do not count",
        )


@pytest.mark.control("PLT-RES-002")
def test_requests_fit_with_one_node_lost(capacity: Capacity, verdict: Verdict) -> None:
    """Every pod has room, also when any one node is gone.

    Pods that wait for a node count, and so do those on a node that is out of service
    now: they are to be placed again. What belongs to a node (a DaemonSet's pod) is
    lost with it, and nothing that stays is moved to make room.
    """
    fit = capacity.fit
    if not verdict.at_least(1, fit, subject="cluster", claim="has nodes that can take pods"):
        return
    if not verdict.given(
        total(one.allocatable for one in fit).within(offered(fit)),
        subject="cluster",
        claim="has nodes that do not advertise one machine several times",
        observed=f"{len(fit)} nodes on {len({one.host for one in fit})} running kernels",
        advice="reserve on each node what belongs to the others (kubelet systemReserved)",
    ):
        return
    packing = Packing.of(capacity.nodes, capacity.pods)
    for lost in (None, *packing.nodes):
        packed = packing.without(lost)
        subject = f"cluster without {lost.name}" if lost else "cluster"
        if packed.fits is None:
            verdict.undecided(
                subject=subject,
                claim="has room for every pod",
                reason="no placing was found, and none can be excluded: it is nearly full",
            )
            continue
        verdict.expect(
            packed.fits,
            subject=subject,
            claim="has room for every pod",
            observed=f"{packed.needed} reserved of {packed.offered}, "
            f"{packed.moving} pods to be placed",
            expected="a place for every pod",
            advice="add a node, or lower requests that are larger than what is used",
        )
