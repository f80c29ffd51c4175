"""Rights that nobody asked for: of `default` accounts, of pods, of Prometheus, of strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.access import Action
from conformance.rbac import STRANGERS, Subject
from conformance.tokens import mounts_token
from conformance.verdict import Level, UndecidedError

if TYPE_CHECKING:
    from conformance.access import Access, Door
    from conformance.cluster import Cluster
    from conformance.platform import Platform
    from conformance.rbac import Rbac
    from conformance.verdict import Verdict
    from conformance.workloads import Workloads

_MASTERS = Subject("Group", "system:masters")


@pytest.mark.control("RBAC-009")
def test_default_accounts_have_no_rights(
    platform: Platform, cluster: Cluster, access: Access, rbac: Rbac, verdict: Verdict
) -> None:
    """Whoever runs under `default` may nothing, and pods without rights carry no token.

    The rights are asked of the API server, groups included, once it has shown that it
    allows something to somebody. Whether a pod carries a token, its own volumes say:
    its setting goes before its account's, and an issuer's token for another audience
    (a mesh's) is none for this API.
    """
    works = access.one(_MASTERS, Action("list", "pods"))
    if not verdict.given(
        works,
        subject="SubjectAccessReview",
        claim="allows administrators to list pods",
        observed="allowed" if works else "denied: its denials prove nothing",
    ):
        return
    there = {one["metadata"]["name"] for one in cluster.all("namespaces")}
    spaces = [one.name for one in platform.namespaces if one.name in there]
    verdict.at_least(1, spaces, subject="the cluster", claim="has declared namespaces")
    for space in spaces:
        subject = Subject("ServiceAccount", "default", space)
        actions = [
            *(Action(verb, kind, namespace=space) for verb, kind in _ORDINARY),
            *(Action(verb, kind) for verb, kind in _ORDINARY[:3]),
        ]
        decisions = access.allowed(subject, actions)
        open_ = [one for one in decisions if isinstance(one, UndecidedError)]
        may = [str(a) for a, d in zip(actions, decisions, strict=True) if d is True]
        if open_ and not may:
            reason = open_[0].reason
            verdict.undecided(subject=f"{space}/default", claim="has no rights", reason=reason)
            continue
        verdict.expect(
            not may,
            subject=f"{space}/default",
            claim="has no rights",
            observed=f"may {'; may '.join(may)}" if may else f"{len(actions)} actions denied",
            advice="give the workload that needs them an account of its own, and unbind `default`",
        )
    with verdict.about("pods", "carry no token that they have no use for"):
        _advise_on_tokens(platform, cluster, rbac, verdict)


_ORDINARY = (
    ("list", "secrets"),
    ("list", "pods"),
    ("list", "configmaps"),
    ("get", "secrets"),
    ("create", "pods"),
    ("create", "pods/exec"),
    ("get", "pods/log"),
    ("patch", "pods"),
)


def _advise_on_tokens(platform: Platform, cluster: Cluster, rbac: Rbac, verdict: Verdict) -> None:
    """Report the pods of the platform that carry a token of an account without any right."""
    for space in platform.platform_namespaces:
        idle = set()
        for pod in cluster.within("pods", space.name):
            name = str(pod["spec"].get("serviceAccountName") or "default")
            subject = Subject("ServiceAccount", name, space.name)
            used = any(not one.by_default for one in rbac.held_by(subject))
            if mounts_token(pod) and not used:
                idle.add(f"{pod['metadata']['name']} as {name}")
        if idle:
            verdict.advise(
                subject=space.name,
                claim="has pods with a token of an account that has no rights",
                observed=", ".join(sorted(idle)),
            )


@pytest.mark.control("RBAC-010")
def test_prometheus_scrapes_and_does_not_execute(
    platform: Platform, workloads: Workloads, access: Access, verdict: Verdict
) -> None:
    """Prometheus reads metrics and finds targets; it reaches into no pod and reads no Secret.

    `nodes/proxy` is the right that many a guide gives it for scraping: with GET alone it
    runs commands in any pod. `nodes/metrics` is what scraping needs. Targets may be found
    in the whole cluster or in each namespace of the platform.
    """
    spaces = [one.name for one in platform.platform_namespaces]
    for declared in (one for one in platform.workloads if one.component == "prometheus"):
        found = workloads.of(declared)
        name = str(found.template.get("serviceAccountName") or "default")
        subject = Subject("ServiceAccount", name, declared.namespace)

        for action in (Action("get", "nodes/metrics"), Action("get", url="/metrics")):
            _expect_may(subject, [action], access, verdict)
        _expect_may(subject, [Action("list", "nodes")], access, verdict)
        for kind in ("pods", "services"):
            _expect_may_find(subject, (("", kind),), spaces, access, verdict)
        slices = (("discovery.k8s.io", "endpointslices"), ("", "endpoints"))
        _expect_may_find(subject, slices, spaces, access, verdict)

        denied = [Action(verb, "nodes/proxy") for verb in ("get", "create")]
        denied += [
            Action(verb, "secrets", namespace=one)
            for verb in ("get", "list")
            for one in ("", *spaces, "kube-system")
        ]
        denied += [
            Action(verb, f"pods/{part}", namespace=one)
            for verb in ("get", "create")
            for part in ("exec", "attach")
            for one in ("", *spaces, "kube-system")
        ]
        for action, decision in zip(denied, access.allowed(subject, denied), strict=True):
            if isinstance(decision, UndecidedError):
                reason = decision.reason
                verdict.undecided(subject=subject, claim=f"may not {action}", reason=reason)
                continue
            verdict.expect(
                not decision,
                subject=subject,
                claim=f"may not {action}",
                observed="allowed" if decision else "denied",
                advice="take it out of the ClusterRole: nodes/metrics is enough for scraping",
            )


def _expect_may_find(
    subject: Subject,
    kinds: tuple[tuple[str, str], ...],
    spaces: list[str],
    access: Access,
    verdict: Verdict,
) -> None:
    """State that one of some kinds may be listed: everywhere, or in each namespace."""
    everywhere = [Action("list", kind, group) for group, kind in kinds]
    if any(one is True for one in access.allowed(subject, everywhere)):
        _expect_may(subject, everywhere, access, verdict)
        return
    for space in spaces:
        here = [Action("list", kind, group, namespace=space) for group, kind in kinds]
        _expect_may(subject, here, access, verdict)


def _expect_may(subject: Subject, actions: list[Action], access: Access, verdict: Verdict) -> None:
    """State that at least one of some actions is allowed."""
    decisions = access.allowed(subject, actions)
    claim = f"may {' or '.join(map(str, actions))}"
    open_ = [one for one in decisions if isinstance(one, UndecidedError)]
    if open_ and True not in decisions:
        verdict.undecided(subject=subject, claim=claim, reason=open_[0].reason)
        return
    verdict.expect(
        True in decisions,
        subject=subject,
        claim=claim,
        observed="allowed" if True in decisions else "denied",
        advice="add it to the ClusterRole of Prometheus",
    )


@pytest.mark.control("RBAC-011")
def test_strangers_have_no_rights(
    rbac: Rbac, cluster: Cluster, access: Access, verdict: Verdict
) -> None:
    """Who shows no credential learns that the API is there, and no more, from it and kubelets.

    A role is judged by its rules, under whatever name: what is public is the version, the
    health, the keys that tokens are verified with, and what kubeadm shows a new node. A
    refusal is a 401 or 403 in the API's own words; silence is none.
    """
    theirs = [one for one in rbac.grants if one.subject.name in STRANGERS]
    given = [one.ref for one in theirs if not all(rule.public(one) for rule in one.role.rules)]
    verdict.expect(
        not given,
        subject="system:anonymous and system:unauthenticated",
        claim="are bound to what is public only",
        observed="; ".join(given) or f"{len(theirs)} bindings of what is public",
        advice="remove the binding: it opens this to everybody who reaches the API",
    )
    verdict.at(Level.OBSERVED)
    for path in ("/api/v1/secrets", "/api/v1/namespaces/kube-system/configmaps", "/api/v1/nodes"):
        with verdict.about(path, "is refused to strangers"):
            _expect_refusal(path, access.anonymously(path), verdict)
    for node in cluster.all("nodes"):
        name = node["metadata"]["name"]
        addresses = (node.get("status") or {}).get("addresses") or ()
        inner = [one["address"] for one in addresses if one["type"] == "InternalIP"]
        with verdict.about(f"the kubelet of {name}", "is refused to strangers"):
            if not inner:
                raise UndecidedError("the node has no internal address to ask")
            _expect_refusal(f"the kubelet of {name}", access.kubelet(name, inner[0]), verdict)
            everybody = access.open_kubelet(name, inner[0])
            if everybody is not None and not everybody.refused:
                _expect_refusal(f"the kubelet of {name} at its open port", everybody, verdict)


def _expect_refusal(subject: str, door: Door, verdict: Verdict) -> None:
    """State that a door turned a stranger away by itself."""
    if door.refused and not door.by_api:
        reason = f"something in between answered HTTP {door.status}: {door.said}"
        verdict.undecided(subject=subject, claim="is refused to strangers", reason=reason)
    elif door.refused or door.status == 200:  # noqa: PLR2004 - success, as HTTP has it
        verdict.expect(
            door.refused,
            subject=subject,
            claim="is refused to strangers",
            observed=f"HTTP {door.status}: {door.said}",
            expected="HTTP 401 or 403",
            advice="unbind strangers; a kubelet needs --anonymous-auth=false",
        )
    else:
        verdict.undecided(
            subject=subject,
            claim="is refused to strangers",
            reason=f"HTTP {door.status} is neither an answer nor a refusal: {door.said}",
        )
