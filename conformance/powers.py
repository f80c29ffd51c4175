"""Powers: what a set of grants adds up to, and the ways from there to everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.rbac import BROAD, SUITE, WRITING, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from conformance.platform import Account, Platform
    from conformance.rbac import Grant

_RBAC, _ADMISSION = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
_CERTIFICATES = "certificates.k8s.io"
_MAKERS = (
    ("", "pods"),
    ("", "replicationcontrollers"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("apps", "replicasets"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
)


_CHANGING = ("create", "update", "patch")
_READ = ("get", "list", "watch")
_CLIMBS = (  # by single rights: what it means, and which verbs on what give it
    ("makes tokens of any ServiceAccount", "", "serviceaccounts/token", ("create",)),
    ("impersonates any ServiceAccount", "", "serviceaccounts", ("impersonate",)),
    ("runs commands in any pod through nodes/proxy", "", "nodes/proxy", ("get", "create")),
    ("runs commands in any pod", "", "pods/exec", ("get", "create")),
    ("attaches to any pod", "", "pods/attach", ("get", "create")),
    ("puts containers into any pod", "", "pods/ephemeralcontainers", _CHANGING),
    ("reads every Secret", "", "secrets", _READ),
    ("changes what is admitted", _ADMISSION, "mutatingwebhookconfigurations", _CHANGING),
    ("sees what is admitted", _ADMISSION, "validatingwebhookconfigurations", _CHANGING),
)


def subject_of(account: Account) -> Subject:
    """Return a declared account as RBAC names it."""
    return Subject("ServiceAccount", account.name, account.namespace)


def administrators(platform: Platform) -> frozenset[str]:
    """Return the subjects, as text, that are declared to hold everything."""
    people = (str(subject_of(one)) for one in platform.accounts if one.meaning == "admin")
    return frozenset({*people, *(one.subject for one in platform.administrators)})


def holds_everything(grants: Iterable[Grant]) -> bool:
    """Say whether grants allow every verb on every resource in the whole cluster."""
    return any(
        one.verbs >= {"*"} and one.groups >= {"*"} and one.resources >= {"*"} and not one.names
        for grant in grants
        if not grant.namespace
        for one in grant.role.rules
    )


def seizes(grants: Iterable[Grant]) -> list[str]:
    """Return the ways in which the holder makes itself administrator by one request, in words."""
    can = _anywhere(grants)
    ways = []
    if any(can("impersonate", "", kind) for kind in ("users", "groups")):
        ways.append("impersonates anybody")
    if can("escalate", _RBAC, "clusterroles") and _writes(can, _RBAC, "clusterroles"):
        ways.append("writes rights into ClusterRoles that it does not hold")
    if can("bind", _RBAC, "clusterroles") and can("create", _RBAC, "clusterrolebindings"):
        ways.append("binds any ClusterRole to itself")
    return ways


def climbs(grants: Iterable[Grant]) -> list[str]:
    """Return the longer ways to everything, in words: through others' identities or through nodes.

    Rights that name their objects (`resourceNames`) do not count: they lead only there.
    """
    held = tuple(grants)
    can = _anywhere(held)
    ways = [
        way for way, group, what, verbs in _CLIMBS if any(can(verb, group, what) for verb in verbs)
    ]
    if _makes_pods(can):
        ways.append("makes pods in any namespace, with any identity there")
    elif _makes_pods(_in(held, "kube-system")):
        ways.append("makes pods in kube-system")
    approves = any(
        can(verb, _CERTIFICATES, "certificatesigningrequests/approval") for verb in _CHANGING
    )
    if approves and can("approve", _CERTIFICATES, "signers"):
        ways.append("approves certificates for any identity")
    return ways


def own(subject: Subject, platform: Platform) -> bool:
    """Say whether a subject is the platform's: its ServiceAccounts, its accounts, the suite's.

    Everybody, all ServiceAccounts, and those of one of these namespaces are, too.
    """
    spaces = {one.name for one in platform.platform_namespaces}
    spaces |= {one.namespace for one in platform.accounts}
    return subject.name in BROAD or subject.within(spaces | {SUITE})


def documented(account: Account, grant: Grant) -> bool:
    """Say whether a grant is one of those that an account is documented to have."""
    if account.role is not None:
        wanted = set(account.namespaces) or {""}
        return grant.role.ref == f"ClusterRole {account.role}" and grant.namespace in wanted
    if grant.role.built_in and grant.role.name != "view":
        return False
    return grant.namespace in {"", *account.namespaces} and (
        bool(grant.namespace) or not changes(grant)
    )


def changes(grant: Grant) -> list[str]:
    """Return the rules of a grant that allow more than to read, or to read Secrets, in words."""
    return [
        str(one)
        for one in grant.role.rules
        if one.verbs & (WRITING | {"*", "escalate", "bind", "impersonate", "approve", "sign"})
        or (one.resources & {"secrets", "*"} and one.groups & {"", "*"})
        or any(name in one.resources for name in ("pods/exec", "pods/attach", "nodes/proxy"))
    ]


def _anywhere(grants: Iterable[Grant]) -> Callable[[str, str, str], bool]:
    return _in([one for one in grants if not one.namespace], "")


def _in(grants: Iterable[Grant], namespace: str) -> Callable[[str, str, str], bool]:
    held = tuple(grants)
    return lambda verb, group, what: any(one.allows(verb, group, what, namespace) for one in held)


def _writes(can: Callable[[str, str, str], bool], group: str, what: str) -> bool:
    return any(can(verb, group, what) for verb in _CHANGING)


def _makes_pods(can: Callable[[str, str, str], bool]) -> bool:
    return any(_writes(can, group, what) for group, what in _MAKERS)


def combinations(grants: Iterable[Grant]) -> Iterator[str]:
    """Yield what makes pods and reads Secrets in the whole cluster, in words."""
    can = _anywhere(grants)
    if _makes_pods(can) and any(can(verb, "", "secrets") for verb in ("get", "list", "watch")):
        yield "makes pods and reads Secrets in the whole cluster"
