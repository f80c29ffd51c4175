"""What each component reserves, and what it may use at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.amounts import Amount, limits, limits_in_force, requests
from conformance.pods import Role
from conformance.quantity import quantity

if TYPE_CHECKING:
    from conformance.platform import Workload
    from conformance.pods import Container
    from conformance.settings import Settings
    from conformance.verdict import Verdict
    from conformance.workloads import Workloads


@pytest.mark.control("PLT-RES-001")
def test_a_component_reserves_what_the_table_says(
    workload: Workload, workloads: Workloads, verdict: Verdict
) -> None:
    """The component's own container requests at least the declared amounts and has limits.

    In the template, and in every pod: a LimitRange, an autoscaler of requests or a
    resize may have changed a pod. A sidecar's requests are its own. Limits may come
    from a LimitRange, so they are looked for in the pods where there are any.
    """
    found = workloads.of(workload)
    wanted = Amount(quantity(workload.cpu or "0"), quantity(workload.memory or "0"))
    places = [(f"{workload.ref} template", _main(workload, found.containers))]
    places += [(one.ref, _main(workload, one.containers)) for one in found.staying]
    for subject, container in places:
        if container is None:
            verdict.undecided(
                subject=subject,
                claim="has the component's container",
                reason=f"there is none called {workload.container or '(undeclared)'}",
            )
            continue
        asked = requests(container)
        verdict.expect(
            wanted.within(asked),
            subject=subject,
            claim="requests what is declared",
            observed=f"{asked} in {container.name}",
            expected=f"at least {wanted}",
            advice="set resources.requests of the container in the template",
        )
        if container.status or not found.staying:
            allowed = limits(container)
            verdict.expect(
                bool(allowed.cpu and allowed.memory) and asked.within(allowed),
                subject=subject,
                claim="has limits for CPU and memory",
                observed=str(container.spec.get("resources") or "no resources"),
                expected="both, and no smaller than the requests",
                advice="set resources.limits: without one it takes what its neighbours need",
            )


@pytest.mark.control("PLT-RES-010")
def test_a_product_leaves_room_below_its_memory_limit(
    workload: Workload, workloads: Workloads, settings: Settings, verdict: Verdict
) -> None:
    """The product, asked itself, may use at most its share of the container's memory limit.

    Its own word counts, not the file that it may have been started with. No maximum
    is the largest one. The limit is the one in force, which a resize may have changed.
    """
    share = quantity(str(workload.memory_share))
    claim = "is told to use at most its share of the memory limit"
    if not settings.can_ask(workload):
        verdict.not_measured(
            subject=workload.ref,
            claim=claim,
            reason=f"the suite cannot ask {workload.product} yet",
        )
        return
    pods = workloads.of(workload).staying
    verdict.at_least(1, pods, subject=workload.ref, claim="has pods")
    for pod in pods:
        with verdict.about(pod.ref, claim):
            container = _main(workload, pod.containers)
            limit = limits_in_force(container).memory if container else 0
            if not limit:
                verdict.undecided(
                    subject=pod.ref,
                    claim=claim,
                    reason="its container has no memory limit",
                    blocked_by="PLT-RES-001",
                )
                continue
            own = settings.of(workload, pod)
            verdict.expect(
                0 < own.memory <= share * limit,
                subject=pod.ref,
                claim=claim,
                observed=f"{own.setting} {own.memory or 'without a maximum'} of {int(limit)} bytes",
                expected=f"more than 0 and at most {int(share * limit)} ({float(share):.0%})",
                advice=f"lower {own.setting} or raise the container's memory limit",
            )


def _main(workload: Workload, containers: tuple[Container, ...]) -> Container | None:
    main = [one for one in containers if one.role is Role.MAIN]
    named = [one for one in main if one.name == workload.container]
    if workload.container is None and len(main) == 1:
        return main[0]
    return named[0] if named else None
