"""Where replicas are: spread by rule, spread in fact, and on every node where that is claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.placement import Placement
    from conformance.platform import Workload
    from conformance.verdict import Verdict
    from conformance.workloads import Workloads


@pytest.mark.control("PLT-WL-006")
def test_a_workload_of_every_node_runs_on_every_node(
    workload: Workload, workloads: Workloads, placement: Placement, verdict: Verdict
) -> None:
    """Each node carries a ready pod of the workload.

    The nodes are counted themselves: what a DaemonSet calls desired already leaves out
    the nodes whose taints it does not tolerate. Nodes that cannot run it by nature
    (virtual ones) or that the platform section exempts do not count.
    """
    found = workloads.of(workload)
    nodes = [one for one in placement.nodes if not one.virtual and not one.exempt(workload)]
    verdict.at_least(1, nodes, subject=workload.ref, claim="has nodes to run on")
    for node in nodes:
        pods = [one for one in found.staying if one.node == node.name]
        ready = any(one.ready for one in pods)
        if not ready and node.young(found.taken):
            verdict.not_measured(
                subject=f"{workload.ref}@{node.name}",
                claim="runs on the node",
                reason=f"the node joined at {node.created}; look again in a few minutes",
            )
            continue
        verdict.expect(
            ready,
            subject=f"{workload.ref}@{node.name}",
            claim="runs on the node",
            expected="a ready pod",
            observed=", ".join(f"{one.name}: {one.standing(found.taken)[1]}" for one in pods)
            or f"no pod; taints of the node: {node.taints or 'none'}",
            advice="tolerate the node's taints, or exempt the node in the platform section",
        )


@pytest.mark.control("PLT-WL-007")
def test_replicas_are_told_to_keep_apart(
    workload: Workload, workloads: Workloads, placement: Placement, verdict: Verdict
) -> None:
    """The template asks for its own pods to be spread over hosts (or zones, which have hosts).

    A rule counts only where its selector finds the pods that carry it: a typing error
    leaves a rule that separates the pods from nobody. A preference counts, with a note:
    whether it was followed is another control's question.
    """
    found = workloads.of(workload)
    rules = placement.rules(found)
    binding = [one for one in rules if one.required]
    verdict.expect(
        any(one.spreads for one in rules),
        subject=workload.ref,
        claim="asks for its replicas to be kept apart",
        expected="podAntiAffinity or topologySpreadConstraints over hosts that select its own pods",
        observed="; ".join(one.told for one in rules) or "no such rule",
        advice="add podAntiAffinity on kubernetes.io/hostname with the labels of its own template",
        note="" if any(one.spreads for one in binding) else "a preference only",
    )


@pytest.mark.control("PLT-WL-008")
def test_replicas_sit_on_distinct_nodes(
    workload: Workload, workloads: Workloads, placement: Placement, verdict: Verdict
) -> None:
    """Each replica of a quorum has a node of its own; others stand on as many as declared.

    Replicas that are not placed are missing, not together: that is for another control.
    Where the cluster has too few nodes for the claim, nothing is wrong with the placing.
    """
    found = workloads.of(workload)
    placed = {one.name: one.node for one in found.staying if one.node}
    needed = found.desired if workload.quorum else workload.min_nodes or 2
    needed = min(needed, found.desired)
    nodes = set(placed.values())
    verdict.advise(
        subject=workload.ref,
        claim="has its replicas in zones",
        observed=placement.zones(nodes),
    )
    possible = placement.hosts(found)
    missing = found.desired - len(placed)
    enough = len(nodes) >= needed
    if not enough and len(possible) < needed:
        verdict.undecided(
            subject=workload.ref,
            claim="has its replicas on distinct nodes",
            reason=f"{needed} nodes are needed and the cluster has {len(possible)} for it",
            blocked_by="PLT-CLU-001",
        )
    elif not enough and len(nodes) + missing >= needed:
        verdict.undecided(
            subject=workload.ref,
            claim="has its replicas on distinct nodes",
            reason=f"{missing} of {found.desired} replicas are not placed: {placed}",
            blocked_by="PLT-WL-002",
        )
    else:
        verdict.at_least(2, placed, subject=workload.ref, claim="has replicas to keep apart")
        verdict.expect(
            enough,
            subject=workload.ref,
            claim="has its replicas on distinct nodes",
            expected=f"at least {needed} nodes",
            observed=placed,
            advice="require anti-affinity on kubernetes.io/hostname and delete the pods that share",
        )
