"""Replicas: as many as wanted, ready, and staying so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.pods import Standing

if TYPE_CHECKING:
    from conformance.platform import Platform, Workload
    from conformance.pods import Pod
    from conformance.verdict import Verdict
    from conformance.workloads import Workloads


@pytest.mark.control("PLT-WL-002")
def test_rollouts_have_converged(
    workload: Workload, workloads: Workloads, verdict: Verdict
) -> None:
    """A workload runs its current template on all its replicas, and they stay ready.

    Two samples a minute apart, the first of them read off the pods' own times: a pod
    that has been ready for that long was ready then. Where something has just changed,
    the cluster is looked at again. The controller's numbers are compared with the pods,
    because a status goes on saying what was true when its controller stopped.
    """
    state = workloads.of(workload)
    if not state.steady:
        state = workloads.later.of(workload)
    moving = ", ".join(f"{one.ref} ({one.standing(state.taken)[1]})" for one in state.moving)
    if state.under_way:
        verdict.not_measured(
            subject=workload.ref,
            claim="has converged",
            reason=f"it is changing: {moving}; look again in a few minutes",
        )
        return
    verdict.at_least(1, state.pods, subject=workload.ref, claim="has pods")
    for one in state.counts():
        verdict.expect(
            one.seen == one.wanted,
            subject=workload.ref,
            claim=one.claim,
            expected=one.wanted,
            observed=f"{one.seen}" + (f"; {state.stuck}" if state.stuck else ""),
            advice=f"kubectl rollout status {workload.kind.lower()}/{workload.name} "
            f"-n {workload.namespace}; mind partitions, OnDelete, quotas, pods that cannot start",
        )
    verdict.expect(
        not state.moving,
        subject=workload.ref,
        claim="keeps its pods ready",
        expected="no change of readiness for a minute",
        observed=moving or "all of them ready for more than a minute",
        advice="read the events of the pods that change",
    )


@pytest.mark.control("PLT-WL-003")
def test_every_pod_runs_is_ready_and_is_stable(
    platform: Platform, workloads: Workloads, verdict: Verdict
) -> None:
    """Every pod in the platform's namespaces runs, is ready and has not restarted lately.

    Declared or not: a pod that nobody declared and that crashes is a fault of the
    platform as well. A phase is a snapshot, and a pod that crashes now and then looks
    well in most of them; so the times of the last end and start of every container are
    read too. Pods of completed Jobs, and pods on their way out, are not meant to run.
    """
    places = {one.name for one in platform.namespaces if not one.absent}
    pods = [one for one in workloads.pods if one.namespace in places]
    meant = [one for one in platform.workloads if not one.absent]
    verdict.at_least(
        max(1, sum(one.replicas or 1 for one in meant)),
        [one for one in pods if not one.over],
        subject="the platform's namespaces",
        claim="have at least the declared number of pods",
    )
    for pod in pods:
        if not workloads.superseded(pod):
            _expect_well(pod, workloads, verdict)


def _expect_well(pod: Pod, workloads: Workloads, verdict: Verdict) -> None:
    standing, told = pod.standing(workloads.taken)
    if standing in {Standing.LEAVING, Standing.FINISHED}:
        verdict.advise(subject=pod.ref, claim=f"is {standing}", observed=told)
        return
    if standing is Standing.STARTING:
        verdict.not_measured(
            subject=pod.ref,
            claim="is Running and Ready",
            reason=f"it is starting: {told}; look again in a few minutes",
        )
    else:
        verdict.expect(
            standing is Standing.WELL,
            subject=pod.ref,
            claim="is Running and Ready",
            observed=told,
            advice=f"kubectl describe pod {pod.name} -n {pod.namespace}",
        )
    unrest = pod.unrest(workloads.taken)
    verdict.expect(
        not unrest,
        subject=pod.ref,
        claim="runs without restarting",
        expected="no restart in five minutes, no habit of it, no lack of memory in a day",
        observed=unrest or "as expected",
        advice=f"kubectl logs --previous {pod.name} -n {pod.namespace}",
    )
