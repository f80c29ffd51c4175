"""The namespaces of the platform, and who gets a sidecar in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.cluster import Cluster
    from conformance.injection import Injection
    from conformance.platform import Namespace, Platform
    from conformance.verdict import Verdict


@pytest.mark.control("PLT-NS-001")
def test_a_declared_namespace_exists_and_is_active(
    namespace: Namespace, cluster: Cluster, verdict: Verdict
) -> None:
    """A declared namespace is there, is Active, and carries its declared labels.

    A namespace that is stuck in its deletion is still found by its name, so both its
    phase and its deletion time are read.
    """
    found = cluster.find("namespaces", namespace.name)
    verdict.expect(
        found is not None,
        subject=namespace.ref,
        claim="exists",
        observed="found" if found else "there is no namespace of that name",
        advice="create the namespace, or correct its name in the platform section",
    )
    if found is None:
        return
    phase = (found.get("status") or {}).get("phase", "unknown")
    since = found["metadata"].get("deletionTimestamp")
    verdict.expect(
        phase == "Active" and not since,
        subject=namespace.ref,
        claim="is Active",
        expected="Active, and nobody deleted it",
        observed=f"{phase}, being deleted since {since}" if since else phase,
        advice="find what still holds it: its finalizers and status.conditions name it",
    )
    carried = found["metadata"].get("labels") or {}
    for key, value in namespace.labels.items():
        verdict.expect(
            carried.get(key) == value,
            subject=namespace.ref,
            claim=f"carries the label {key}",
            expected=value,
            observed=carried.get(key, "no such label"),
            advice=f"kubectl label namespace {namespace.name} {key}={value} --overwrite",
        )


@pytest.mark.control("PLT-NS-002")
def test_injection_labels_match_the_declared_mesh_membership(
    namespace: Namespace,
    platform: Platform,
    cluster: Cluster,
    injection: Injection,
    verdict: Verdict,
) -> None:
    """A namespace of the mesh asks for sidecars, and an installed injector serves its labels.

    `istio-injection` goes before `istio.io/rev`: a namespace with both is served by the
    first, whatever the second says. A revision is served where a webhook selects it;
    tags of revisions are webhooks too.
    """
    found = cluster.find("namespaces", namespace.name)
    if not found:
        verdict.undecided(
            subject=namespace.ref,
            claim="asks for sidecars",
            reason="the namespace does not exist",
            blocked_by="PLT-NS-001",
        )
        return
    wish = injection.wish(found)
    verdict.expect(
        wish.enabled,
        subject=namespace.ref,
        claim="asks for sidecars",
        expected="istio-injection: enabled, or istio.io/rev with an installed revision",
        observed=f"{wish}",
        advice=f"kubectl label namespace {namespace.name} istio-injection=enabled --overwrite",
    )
    both = wish.switch is not None and wish.revision is not None
    if platform.mesh_absent:
        verdict.expect(
            not both,
            subject=namespace.ref,
            claim="has labels that do not contradict each other",
            observed=f"{wish}",
            advice="keep one of the two labels",
        )
        if wish.switch is None and wish.revision:
            verdict.undecided(
                subject=namespace.ref,
                claim="is served by an installed injector",
                reason=f"no revision can be compared with {wish.revision}: the mesh is "
                f"{platform.mesh_absent}",
            )
        return
    serving = injection.serving(found)
    told = ", ".join(f"{one.name} (revision {one.revision})" for one in serving)
    verdict.expect(
        bool(serving),
        subject=namespace.ref,
        claim="is served by an installed injector",
        expected="a webhook that selects its labels",
        observed=told or f"no injector selects {wish}",
        advice="install the revision, move its tag, or label the namespace with one that is served",
    )
    verdict.expect(
        not both or {one.revision for one in serving} == {wish.revision},
        subject=namespace.ref,
        claim="has labels that do not contradict each other",
        expected="one of the two labels, or both with the same meaning",
        observed=f"{wish}; served by {told or 'nobody'}",
        advice="keep one of the two labels",
    )


@pytest.mark.control("PLT-NS-003")
def test_a_new_pod_gets_a_sidecar_where_it_is_meant_to(
    namespace: Namespace, cluster: Cluster, injection: Injection, verdict: Verdict
) -> None:
    """A pod that is created now would get a sidecar, and none where sidecars are refused.

    Asked by a dry run of a pod that says nothing about injection: admission really
    happens, and nothing is stored. A refusal of the pod for another reason decides nothing.
    """
    found = cluster.find("namespaces", namespace.name)
    if not found:
        verdict.undecided(
            subject=namespace.ref,
            claim="gives a new pod its sidecar",
            reason="the namespace does not exist",
            blocked_by="PLT-NS-001",
        )
        return
    wish = injection.wish(found)
    born = injection.ask(namespace.name)
    if born.refusal:
        verdict.undecided(
            subject=namespace.ref,
            claim="gives a new pod its sidecar",
            reason=f"{born.refusal}; give the suite the right to create pods, or mend admission",
        )
        return
    wanted = wish.enabled or namespace.mesh
    by_default = not wish.disabled and bool(injection.serving(found))
    verdict.expect(
        bool(born.images) == (wanted or by_default),
        subject=namespace.ref,
        claim="gives a new pod its sidecar" if wanted else "treats a new pod as its labels say",
        expected="a sidecar" if wanted or by_default else "no sidecar",
        observed=f"{', '.join(born.images) or 'no sidecar'} ({wish})",
        advice="see that the injector's webhook exists, selects the namespace and reaches istiod",
    )
