"""Whether a namespace can take more than its share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.quotas import BOUNDS

if TYPE_CHECKING:
    from conformance.platform import Namespace
    from conformance.quotas import Quotas
    from conformance.verdict import Verdict

_DEFAULTS = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


@pytest.mark.control("PLT-RES-006")
def test_a_namespace_has_a_quota_and_defaults(
    namespace: Namespace, quotas: Quotas, verdict: Verdict
) -> None:
    """Quotas bound what the namespace's pods take, and a limit range fills in what they leave out.

    A quota that is about some pods only bounds nothing for the others. Where there is
    none of Kubernetes' own kind, a policy of the admission does as well if it is seen
    to refuse the pod that asks for too much and to admit the same pod asking for little.
    """
    bounded = quotas.bounded(namespace.name)
    lacking = [what for what, names in BOUNDS.items() if not names & bounded.keys()]
    seen = ", ".join(f"{key}: {value}" for key, value in sorted(bounded.items())) or "nothing"
    scoped = quotas.scoped(namespace.name)
    tried = quotas.immodest(namespace.name) if lacking else None
    claim = "has quotas that bound CPU, memory, storage and pods"
    if tried and tried.elsewise:
        verdict.undecided(
            subject=namespace.name,
            claim=claim,
            reason=f"{seen}; whether a policy does as well cannot be seen: {tried}",
        )
    else:
        policed = bool(tried and tried.by_policy and quotas.modest(namespace.name).accepted)
        verdict.expect(
            not lacking or policed,
            subject=namespace.name,
            claim=claim,
            observed=seen
            + ("; a policy refuses a pod that asks for too much" if policed else "")
            + (f"; for some pods only: {', '.join(scoped)}" if scoped else ""),
            expected=f"bounds for {', '.join(lacking or BOUNDS)}",
            advice="add a ResourceQuota without scopes",
        )
    defaults = quotas.defaults(namespace.name)
    verdict.expect(
        all(one in defaults for one in _DEFAULTS) or _filled_in(namespace, quotas),
        subject=namespace.name,
        claim="gives defaults to containers that ask for nothing",
        observed=", ".join(f"{key}: {value}" for key, value in sorted(defaults.items())) or "none",
        expected="a LimitRange with default and defaultRequest for CPU and memory",
        advice="add a LimitRange of type Container",
    )


def _filled_in(namespace: Namespace, quotas: Quotas) -> bool:
    return quotas.silent(namespace.name).defaulted


@pytest.mark.control("PLT-RES-007")
def test_a_quota_is_enforced(namespace: Namespace, quotas: Quotas, verdict: Verdict) -> None:
    """The API refuses a pod that asks for ten thousand cores, and none goes without a request.

    Tried as a dry run: admission decides, nothing is made. A refusal counts only in a
    quota's own words: the suite may lack the right, or the pod offend another rule. A
    policy's refusal counts beside the same pod, asking for little, being admitted.
    """
    tried = quotas.immodest(namespace.name)
    policed = tried.by_policy and quotas.modest(namespace.name).accepted
    claim = "refuses a pod that asks for too much"
    if tried.accepted or tried.over_quota or policed:
        verdict.expect(
            tried.over_quota or policed,
            subject=namespace.name,
            claim=claim,
            observed=str(tried),
            expected="403 exceeded quota",
            advice="add a ResourceQuota on requests.cpu, or lower the one there is",
        )
    else:
        verdict.undecided(subject=namespace.name, claim=claim, reason=f"refused otherwise: {tried}")
    silent = quotas.silent(namespace.name)
    claim = "lets no container go without requests and limits"
    if silent.accepted or silent.must_ask:
        verdict.expect(
            silent.must_ask or silent.defaulted,
            subject=namespace.name,
            claim=claim,
            observed=f"{silent}, with resources filled in" if silent.defaulted else str(silent),
            expected="defaults filled in, or 403 must specify",
            advice="add a LimitRange with defaults",
        )
    else:
        verdict.undecided(
            subject=namespace.name, claim=claim, reason=f"refused otherwise: {silent}"
        )
