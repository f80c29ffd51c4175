"""Powers: who holds everything or could take it, and what roles must not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.access import Action
from conformance.cluster import labels
from conformance.powers import (
    administrators,
    climbs,
    combinations,
    holds_everything,
    own,
    seizes,
    subject_of,
)
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from conformance.access import Access
    from conformance.platform import Platform
    from conformance.rbac import Grant, Rbac, Role, Subject
    from conformance.verdict import Verdict

_MASTERS = "Group system:masters"
_ALONE = frozenset({"escalate", "bind", "impersonate"})


@pytest.mark.control("RBAC-003")
def test_only_approved_subjects_are_administrators(
    platform: Platform, rbac: Rbac, verdict: Verdict
) -> None:
    """Nobody beside the approved holds everything, or is one request away from it.

    Judged by what is held in sum, under whatever name: a role of wildcards is
    cluster-admin. The platform's own identities must not get there by the longer ways
    either (tokens, pods, nodes, webhooks, certificates); for other products these are
    reported, since operators live by them.
    """
    approved = administrators(platform) | {_MASTERS}
    holders, defaults = [], 0
    for subject, grants in rbac.by_subject():
        if holds_everything(grants):
            holders.append(subject)
        elif all(one.by_default for one in grants):
            defaults += 1
            continue
        if str(subject) not in approved:
            _expect_humble(subject, grants, platform, verdict)
    names = ", ".join(map(str, holders))
    if verdict.given(
        bool(holders),
        subject="cluster-admin",
        claim="is held by somebody",
        observed=names or "by nobody, not even system:masters: these cannot be all bindings",
    ):
        strangers = [str(one) for one in holders if str(one) not in approved]
        verdict.expect(
            not strangers,
            subject="cluster-admin",
            claim="is held by approved subjects only",
            observed=f"{names}; {defaults} of Kubernetes' own subjects have their defaults",
            advice="see each subject",
        )


def _expect_humble(
    subject: Subject, grants: tuple[Grant, ...], platform: Platform, verdict: Verdict
) -> None:
    """State that a subject that is not approved does not hold everything, nor comes by it."""
    advice = "bind less, or declare it in `administrators` of the platform section with the reason"
    everything = holds_everything(grants)
    verdict.expect(
        not everything,
        subject=subject,
        claim="does not hold every right of the cluster",
        observed="; ".join(one.ref for one in grants if holds_everything([one]))
        or f"{len(grants)} bindings, none of everything",
        advice=advice,
    )
    added = [one for one in grants if not one.by_default]
    if everything or not added:
        return
    ways = seizes(added)
    verdict.expect(
        not ways,
        subject=subject,
        claim="cannot make itself administrator",
        observed="; ".join(ways) or "no way in its rights",
        advice=advice,
    )
    longer = climbs(added)
    if own(subject, platform):
        verdict.expect(
            not longer,
            subject=subject,
            claim="has no way to other identities in the whole cluster",
            observed="; ".join(longer) or "no way in its rights",
            advice="bind it in the namespaces where it works, by Role and RoleBinding",
        )
    elif longer:
        verdict.advise(
            subject=subject, claim="has ways to other identities", observed="; ".join(longer)
        )


@pytest.mark.control("RBAC-004")
def test_roles_of_the_platform_name_what_they_allow(
    platform: Platform, rbac: Rbac, verdict: Verdict
) -> None:
    """No role of the platform, or bound to its identities, has wildcards or hands on rights.

    `pods/*` and `*/scale` are wildcards. The roles that Kubernetes itself keeps are its
    own; those of other products are reported. Making pods and reading Secrets are one
    power together, whatever the number of roles they come from.
    """
    held = {one.role.ref: one.role for one in rbac.grants if own(one.subject, platform)}
    for role in rbac.roles:
        if role.built_in:
            continue
        faults = _faults(role)
        ours = labels(role.item).get("app.kubernetes.io/part-of") == "ai-kernel"
        if ours or role.ref in held:
            verdict.expect(
                not faults,
                subject=role.ref,
                claim="names verbs and resources, and hands on no rights",
                observed="; ".join(faults) or f"{len(role.rules)} rules without",
                advice="list the verbs and resources that are used",
            )
        elif faults:
            verdict.advise(
                subject=role.ref, claim="has wildcards or hands on rights", observed=faults
            )
    approved = administrators(platform)
    for subject, grants in rbac.by_subject():
        if own(subject, platform) and str(subject) not in approved:
            both = list(combinations(grants))
            verdict.expect(
                not both,
                subject=subject,
                claim="does not both make pods and read Secrets everywhere",
                observed="; ".join(both) or f"{len(grants)} bindings without",
                advice="separate the two, or bind them in single namespaces",
            )


def _faults(role: Role) -> list[str]:
    """Return what is wrong with a role's rules, by their number."""
    return [
        f"rule {number}: {fault}"
        for number, rule in enumerate(role.rules)
        for fault in (*rule.wildcards, *sorted(rule.verbs & _ALONE))
    ]


@pytest.mark.control("RBAC-012")
def test_the_gitops_engine_has_the_rights_it_is_meant_to(
    platform: Platform, rbac: Rbac, access: Access, verdict: Verdict
) -> None:
    """In the engine's namespace only the declared identities reach the whole cluster.

    Who changes the engine's own configuration changes what it applies: none of the
    platform's accounts may, but administrators, by the API server's own decision.
    """
    spaces = {one.namespace for one in platform.workloads if one.component == "argocd"}
    approved = {one.subject for one in (*platform.administrators, *platform.cluster_wide)}
    theirs = [one for one in rbac.grants if one.subject.within(spaces) and not one.by_default]
    verdict.at_least(1, theirs, subject="argocd", claim="has bindings of its own")
    for subject in sorted({one.subject for one in theirs}, key=str):
        wide = [one.ref for one in theirs if one.subject == subject and not one.namespace]
        outside = [
            one.ref
            for one in theirs
            if one.subject == subject and one.namespace not in {"", *spaces}
        ]
        reach = wide + outside
        verdict.expect(
            not reach or str(subject) in approved,
            subject=subject,
            claim="reaches beyond its namespace only where declared",
            observed="; ".join(reach) or "bound in its own namespace only",
            advice="remove the binding, or declare it in `cluster_wide` with the reason",
        )
    people = [one for one in platform.accounts if str(subject_of(one)) not in approved]
    for account in people:
        if str(subject_of(account)) in administrators(platform):
            continue
        actions = [
            Action(verb, "configmaps", namespace=space, name=name)
            for space in sorted(spaces)
            for name in ("argocd-cm", "argocd-rbac-cm")
            for verb in ("update", "patch", "delete")
        ]
        decisions = access.allowed(subject_of(account), actions)
        for action, decision in zip(actions, decisions, strict=True):
            if isinstance(decision, UndecidedError):
                reason = decision.reason
                verdict.undecided(subject=account.ref, claim=f"may not {action}", reason=reason)
                continue
            verdict.expect(
                not decision,
                subject=account.ref,
                claim=f"may not {action}",
                observed="allowed" if decision else "denied",
                advice="only administrators may change the engine's configuration",
            )
