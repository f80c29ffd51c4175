"""Tokens: what an account's own token opens, and how long tokens live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.access import Call, named, pod
from conformance.accounts import Meaning
from conformance.verdict import Level

if TYPE_CHECKING:
    from conformance.access import Access
    from conformance.cluster import Cluster
    from conformance.platform import Account, Platform
    from conformance.secrets import Secrets
    from conformance.verdict import Verdict

_SYSTEM = "kube-system"
_DAY = 24 * 60 * 60
_LESS = "bind the account to less: see RBAC-002 for what it is bound to"


@pytest.mark.control("RBAC-006")
def test_viewers_read_no_secret(
    account: Account, platform: Platform, access: Access, cluster: Cluster, verdict: Verdict
) -> None:
    """With a token of its own, a viewer lists pods, and neither reads Secrets nor writes.

    A token that the API does not take is refused everywhere, so refusals count only
    beside the one call that must be answered. Writes are dry runs; a token lives ten
    minutes and never leaves the probe.
    """
    if _missing(account, cluster, verdict):
        return
    spaces = [one.name for one in platform.platform_namespaces]
    mine = account.namespaces or tuple(spaces)
    refused = [Call("GET", "secrets", one) for one in (*spaces, _SYSTEM, "")]
    refused += [Call("POST", "pods", one, pod(one)) for one in spaces]
    refused += [Call("POST", "configmaps", one, _config_map(one)) for one in spaces]
    if account.meaning is Meaning.MONITORING_VIEWER:
        refused += [Call("GET", "configmaps", one) for one in spaces]
    _expect(account, [Call("GET", "pods", one) for one in mine], refused, access, verdict)


@pytest.mark.control("RBAC-007")
def test_namespace_admins_stay_in_their_namespace(
    account: Account, platform: Platform, access: Access, cluster: Cluster, verdict: Verdict
) -> None:
    """With a token of its own, an administrator of one namespace is nobody in the others.

    It may bind roles at home, but no role that is more than its own: binding cluster-admin
    there must be refused (a dry run: nothing is bound).
    """
    if _missing(account, cluster, verdict):
        return
    others = [one.name for one in platform.namespaces if one.name not in account.namespaces]
    spaces = [*others, _SYSTEM, ""]
    kinds = ("pods", "secrets", "configmaps")
    refused = [Call("GET", kind, one) for one in spaces for kind in kinds]
    refused += [Call("GET", "nodes")]
    refused += [Call("POST", "pods", one, pod(one)) for one in others]
    refused += [
        Call("POST", "rolebindings", one, _binding(account, one)) for one in account.namespaces
    ]
    allowed = [Call("GET", "pods", one) for one in account.namespaces]
    _expect(account, allowed, refused, access, verdict)


def _expect(
    account: Account, allowed: list[Call], refused: list[Call], access: Access, verdict: Verdict
) -> None:
    """State that calls are answered or refused; refusals count beside an answer only."""
    replies = access.replies(account, [*allowed, *refused])
    answered = replies[: len(allowed)]
    counts = verdict.given(
        bool(answered) and all(one.accepted for one in answered),
        subject=account.ref,
        claim="is answered where it may look",
        observed=", ".join(f"{call}: {s}" for call, s in zip(allowed, answered, strict=True)),
    )
    for call, reply in zip(refused, replies[len(allowed) :], strict=True):
        claim = f"is refused when it {call}"
        if reply.accepted or (counts and reply.rights):
            verdict.expect(
                not reply.accepted,
                subject=account.ref,
                claim=claim,
                observed=str(reply),
                expected="HTTP 403 for its rights",
                advice=_LESS,
            )
        elif counts:
            reason = f"{reply} says nothing about rights"
            verdict.undecided(subject=account.ref, claim=claim, reason=reason)


@pytest.mark.control("RBAC-008")
def test_tokens_are_short_lived(
    platform: Platform, secrets: Secrets, access: Access, verdict: Verdict
) -> None:
    """No Secret holds a token without an end, and tokens that are asked for end within a day.

    A controller may keep one for itself: that is reported. Only names and types are
    read here, and the length of a token's life, not the token.
    """
    spaces = {one.name for one in platform.platform_namespaces}
    spaces |= {one.namespace for one in platform.accounts}
    for space in sorted(spaces):
        with verdict.about(space, "has no token without an end"):
            tokens = [one for one in secrets.within(space) if one.is_token]
            kept = [one for one in tokens if one.owner]
            static = [one for one in tokens if not one.owner]
            if kept:
                verdict.advise(
                    subject=space,
                    claim="has tokens without an end that controllers keep",
                    observed="; ".join(f"{one.name}, of {one.owner}" for one in kept),
                )
            verdict.expect(
                not static,
                subject=space,
                claim="has no token without an end",
                observed="; ".join(
                    f"{one.name} for {one.account or 'nobody'}, since {one.created}"
                    for one in static
                )
                or "no Secret of that type",
                advice="delete it and ask for tokens with `kubectl create token`",
            )
    readers = [one for one in platform.accounts if one.meaning is Meaning.VIEWER]
    for account in readers[:1]:
        with verdict.at(Level.EFFECTIVE).about(
            account.ref, "is given tokens that end within a day"
        ):
            _expect_end(account, access, verdict)


def _expect_end(account: Account, access: Access, verdict: Verdict) -> None:
    """State that a token asked for without a limit ends within a day."""
    claim = "is given tokens that end within a day"
    seconds = access.lifetime(account)
    if seconds is None:
        verdict.not_measured(
            subject=account.ref,
            claim=claim,
            reason="asking for a token makes one, and this run makes nothing",
            needs="canary",
        )
        return
    verdict.expect(
        0 < seconds <= _DAY,
        subject=account.ref,
        claim=claim,
        observed=f"{seconds} s",
        expected=f"at most {_DAY} s",
        advice="set --service-account-max-token-expiration of the API server",
    )


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


def _config_map(namespace: str) -> tuple[tuple[str, object], ...]:
    return tuple(named("ConfigMap", "v1", namespace).items())


def _binding(account: Account, namespace: str) -> tuple[tuple[str, object], ...]:
    group = "rbac.authorization.k8s.io"
    body = named("RoleBinding", f"{group}/v1", namespace) | {
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [
            {"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}
        ],
    }
    return tuple(body.items())
