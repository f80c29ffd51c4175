"""Accounts: which there are, what each is bound to, and what the developer may really do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.access import APPS, RBAC, Action
from conformance.powers import documented, subject_of
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from conformance.access import Access
    from conformance.cluster import Cluster
    from conformance.platform import Account, Platform
    from conformance.rbac import Rbac
    from conformance.verdict import Verdict

_SYSTEM = "kube-system"


@pytest.mark.control("RBAC-001")
def test_exactly_the_documented_accounts_exist(
    platform: Platform, cluster: Cluster, verdict: Verdict
) -> None:
    """The namespace of the accounts has the documented ones, its own workloads', and no others.

    Namesakes elsewhere do not count: an account is its namespace and its name. Kubernetes
    makes `default` everywhere, and a declared workload runs under its own name or one
    that begins with it.
    """
    if not platform.accounts:
        verdict.undecided(
            subject="accounts",
            claim="are the documented ones",
            reason="no accounts are declared; add `accounts` to the platform section",
        )
    for space in sorted({one.namespace for one in platform.accounts}):
        if cluster.find("namespaces", space) is None:
            verdict.undecided(
                subject=space,
                claim="has the documented accounts",
                reason="there is no such namespace",
                blocked_by="PLT-NS-001",
            )
            continue
        found = {one["metadata"]["name"] for one in cluster.within("serviceaccounts", space)}
        wanted = {one.name for one in platform.accounts if one.namespace == space}
        for name in sorted(wanted):
            verdict.expect(
                name in found,
                subject=f"{space}/{name}",
                claim="exists",
                observed="found" if name in found else "no such ServiceAccount",
                advice="create it, or take it out of the documentation",
            )
        runs = {one.name for one in platform.workloads if one.namespace == space}
        extra = {
            name
            for name in found - wanted - {"default"}
            if not any(name == one or name.startswith(f"{one}-") for one in runs)
        }
        verdict.expect(
            not extra,
            subject=space,
            claim="has no account that is not documented",
            observed=", ".join(sorted(extra)) or "none beside the documented ones",
            advice="delete it, or declare it in `accounts` of the platform section",
        )


@pytest.mark.control("RBAC-002")
def test_each_account_is_bound_as_documented(
    account: Account, cluster: Cluster, rbac: Rbac, verdict: Verdict
) -> None:
    """An account holds its documented role where it is documented, and nothing beside it.

    What reaches it through its groups (all ServiceAccounts, those of its namespace,
    everybody who is known) counts as its own; Kubernetes' own defaults for everybody do
    not. A role of its own may read in the whole cluster and write only in its namespaces.
    """
    if _missing(account, cluster, verdict):
        return
    held = [one for one in rbac.held_by(subject_of(account)) if not one.by_default]
    meant = [one for one in held if documented(account, one)]
    role = f"ClusterRole {account.role}" if account.role else "a role of its own"
    whole_cluster = not account.namespaces or account.role is None
    places = ("",) if whole_cluster else account.namespaces
    for place in places:
        there = [
            one.ref
            for one in meant
            if account.role is None or one.namespace == place
            if one.role.rules
        ]
        verdict.expect(
            bool(there),
            subject=account.ref,
            claim=f"is bound to {role} in {place or 'its place'}",
            observed="; ".join(there) or "no such binding",
            advice="bind it as documented, or correct `accounts` in the platform section",
        )
    beside = [one.ref for one in held if one not in meant]
    verdict.expect(
        not beside,
        subject=account.ref,
        claim="is bound to nothing beside what is documented",
        observed="; ".join(beside) or f"{len(meant)} documented bindings",
        advice="remove the binding (or take the account's group out of it)",
    )


@pytest.mark.control("RBAC-005")
def test_the_developer_has_limited_write_access(
    account: Account, platform: Platform, cluster: Cluster, access: Access, verdict: Verdict
) -> None:
    """By the API server's own decisions, the developer changes workloads in its place only.

    Asked of SubjectAccessReview with the groups that a token carries, so bindings of every
    kind and other authorizers count. Commands run in pods with `create` as with `get`,
    which a websocket uses. An account that may do nothing at all is no developer: what is
    meant to be allowed must be.
    """
    if _missing(account, cluster, verdict):
        return
    subject = subject_of(account)
    first = account.namespaces[0] if account.namespaces else ""
    allowed = [Action("list", "pods", namespace=first)]
    allowed += [
        Action("patch", "deployments", APPS, namespace=one) for one in account.namespaces or ("",)
    ]
    elsewhere = [one.name for one in platform.namespaces if one.name not in account.namespaces]
    spaces = [*elsewhere, _SYSTEM]
    denied = [Action(verb, "secrets", namespace=one) for one in spaces for verb in ("get", "list")]
    denied += [
        Action(verb, f"pods/{part}", namespace=one)
        for one in spaces
        for part in ("exec", "attach")
        for verb in ("create", "get")
    ]
    denied += [Action("patch", "pods/ephemeralcontainers", namespace=one) for one in spaces]
    denied += [
        Action(verb, kind, APPS, namespace=one)
        for one in spaces
        for kind in ("deployments", "statefulsets", "daemonsets")
        for verb in ("create", "patch", "update")
    ]
    denied += [Action("create", "pods", namespace=one) for one in spaces]
    denied += [
        Action("delete", "deployments", APPS, namespace=one)
        for one in (*spaces, *account.namespaces)
    ]
    denied += _escalations([*spaces, *account.namespaces])
    for wanted, actions in ((True, allowed), (False, denied)):
        word = "may" if wanted else "may not"
        for action, decision in zip(actions, access.allowed(subject, actions), strict=True):
            if isinstance(decision, UndecidedError):
                verdict.undecided(
                    subject=account.ref, claim=f"{word} {action}", reason=decision.reason
                )
                continue
            verdict.expect(
                decision is wanted,
                subject=account.ref,
                claim=f"{word} {action}",
                observed="allowed" if decision else "denied",
                advice="correct the role that it is bound to, or the binding",
            )


def _escalations(spaces: list[str]) -> list[Action]:
    """Return what would make more of an account than it is."""
    return [
        Action("create", "clusterrolebindings", RBAC),
        Action("bind", "clusterroles", RBAC),
        Action("escalate", "clusterroles", RBAC),
        Action("impersonate", "users"),
        Action("impersonate", "groups"),
        Action("get", "nodes/proxy"),
        Action("create", "mutatingwebhookconfigurations", "admissionregistration.k8s.io"),
        Action("update", "certificatesigningrequests/approval", "certificates.k8s.io"),
        *(Action("create", "rolebindings", RBAC, namespace=one) for one in spaces),
        *(Action("create", "serviceaccounts/token", namespace=one) for one in spaces),
        *(Action("impersonate", "serviceaccounts", namespace=one) for one in spaces),
    ]


def _missing(account: Account, cluster: Cluster, verdict: Verdict) -> bool:
    """Leave an account undecided that does not exist; RBAC-001 says that it should."""
    if cluster.find("serviceaccounts", account.ref) is not None:
        return False
    verdict.undecided(
        subject=account.ref,
        claim="has the rights that are documented",
        reason="there is no such ServiceAccount",
        blocked_by="RBAC-001",
    )
    return True
