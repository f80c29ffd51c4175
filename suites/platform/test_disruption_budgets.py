"""Disruption budgets: a drain may not take away more than a workload can spare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.budgets import Budget, Budgets, Eviction
    from conformance.platform import Workload
    from conformance.verdict import Verdict
    from conformance.workloads import Controller, Workloads


def _spared(workload: Workload, found: Controller) -> int:
    """Return how many pods a workload can do without: a minority of a quorum, all but one else."""
    return max(0, (found.desired - 1) // 2 if workload.quorum else found.desired - 1)


@pytest.mark.control("PLT-WL-011")
def test_a_budget_covers_the_workload_and_leaves_it_working(
    workload: Workload, workloads: Workloads, budgets: Budgets, verdict: Verdict
) -> None:
    """One budget covers all pods of the workload, and never lets more go than it can spare.

    A budget that selects nothing protects nothing. Two that select one pod are worse
    than one: the API then refuses every eviction with an error, and a drain hangs.
    """
    found = workloads.of(workload)
    covering = budgets.over(found)
    told = "; ".join(map(str, covering)) or "no budget selects its pods"
    verdict.at_least(1, found.pods, subject=workload.ref, claim="has pods to protect")
    if not verdict.expect(
        len(covering) == 1,
        subject=workload.ref,
        claim="is covered by one disruption budget",
        expected="one PodDisruptionBudget that selects its pods",
        observed=told,
        advice="create a PodDisruptionBudget with the labels of its pods and maxUnavailable: 1",
    ):
        return
    budget = covering[0]
    left_out = {one.ref for one in found.staying} - {one.ref for one in budget.covered}
    verdict.expect(
        not left_out,
        subject=workload.ref,
        claim="is covered with all of its pods",
        observed=f"{budget} leaves out {', '.join(sorted(left_out)) or 'none'}",
        advice="select the labels that all pods of the workload carry",
    )
    spared = _spared(workload, found)
    verdict.expect(
        budget.allowed <= spared,
        subject=workload.ref,
        claim="keeps its quorum in a drain" if workload.quorum else "keeps one pod in a drain",
        expected=f"at most {spared} of {found.desired} pods may go",
        observed=f"{budget} lets {budget.allowed} go",
        advice=f"set maxUnavailable: {spared}",
    )
    if budget.allowed == 0:
        verdict.advise(
            subject=workload.ref,
            claim="lets a drain go on",
            observed=f"{budget} never lets a pod go: a drain of its node waits for ever",
        )


@pytest.mark.control("PLT-WL-012")
def test_evictions_are_limited(
    workload: Workload, workloads: Workloads, budgets: Budgets, verdict: Verdict
) -> None:
    """The API refuses evictions beyond the budget, and the budget leaves the quorum.

    Asked by dry runs, which take nothing off the budget: two in a row would both be
    granted. So how many may go is read from the budget's status, and the dry runs only
    show that the API goes by it. Only ready pods are asked about: others may be let go
    whatever the budget says.
    """
    found = workloads.of(workload)
    spared = _spared(workload, found)
    covering = budgets.over(found)
    if not verdict.expect(
        bool(covering),
        subject=workload.ref,
        claim="is protected from evictions",
        expected="a PodDisruptionBudget that selects its pods",
        observed="; ".join(map(str, covering)) or "no budget selects its pods",
        advice="create a PodDisruptionBudget with the labels of its pods and maxUnavailable: 1",
    ):
        return
    asked = [one for one in found.staying if one.ready][:2]
    if not asked or len(covering) > 1:
        verdict.undecided(
            subject=workload.ref,
            claim="is protected from evictions",
            reason=f"{len(covering)} budgets and {len(asked)} ready pods leave nothing to ask",
            blocked_by="PLT-WL-011" if len(covering) > 1 else "PLT-WL-002",
        )
        return
    budget = covering[0]
    verdict.expect(
        budget.allowed_now <= spared,
        subject=workload.ref,
        claim="may lose no more pods at once than it can spare",
        expected=f"at most {spared}",
        observed=f"{budget.allowed_now} may go now, by {budget}",
        advice=f"set maxUnavailable: {spared}",
    )
    answers = [budgets.evict(one) for one in asked]
    after = next((one for one in budgets.over(found, 1) if one.ref == budget.ref), None)
    for answer in answers:
        _expect_obedience(workload, answer, budget, after, verdict)


def _expect_obedience(
    workload: Workload, answer: Eviction, before: Budget, after: Budget | None, verdict: Verdict
) -> None:
    """State that an answer follows the budget, unless the budget changed meanwhile."""
    subject, claim = answer.pod.ref, "is evicted only within its budget"
    numbers = {before.allowed_now, after.allowed_now if after else -1}
    told = f"{answer.answer}; {before.ref} allows {before.allowed_now}"
    if len(numbers) > 1 or not (after and after.current):
        verdict.undecided(
            subject=subject,
            claim=claim,
            reason=f"{told}; the budget of {workload.ref} changed meanwhile: run again",
        )
        return
    verdict.expect(
        answer.granted == (before.allowed_now > 0),
        subject=subject,
        claim=claim,
        expected="granted" if before.allowed_now else "refused with 429",
        observed=told,
        advice="see that the API server runs the Eviction API and that nobody deletes pods instead",
    )
