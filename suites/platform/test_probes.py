"""Probes: the kubelet is told how to see that a container lives and serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance import probes

if TYPE_CHECKING:
    from conformance.platform import Workload
    from conformance.verdict import Verdict
    from conformance.workloads import Workloads


@pytest.mark.control("PLT-WL-009")
def test_long_running_containers_declare_liveness_and_readiness(
    workload: Workload, workloads: Workloads, verdict: Verdict
) -> None:
    """Each container that is meant to run for long has both probes, and they can fail.

    Containers that end by design have none; proxies that a mesh injects are the mesh's,
    while a gateway, whose only container is a proxy, must at least say when it is ready.
    A probe that runs `true` looks at nothing: it is as good as none.
    """
    found = workloads.of(workload)
    lasting = probes.lasting(found)
    verdict.at_least(1, lasting, subject=workload.ref, claim="has containers that run for long")
    for one in lasting:
        for kind in ("liveness", "readiness"):
            probe = one.spec.get(f"{kind}Probe")
            subject = f"{workload.ref}/{one.name}"
            if probes.is_proxy(one) and kind == "liveness":
                verdict.advise(
                    subject=subject, claim="declares a liveness probe", observed=probes.told(probe)
                )
                continue
            verdict.expect(
                probes.can_fail(probe),
                subject=subject,
                claim=f"declares a {kind} probe",
                expected="a probe that can fail",
                observed=probes.told(probe),
                advice=f"add a {kind}Probe that asks the product itself",
            )
