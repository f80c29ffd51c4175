"""Who may do what: every role and binding of the cluster, evaluated as the API server does.

SubjectAccessReviews (`conformance.access`) answer "may X do Y"; this answers "who
may do Y", which no API does. Webhook and node authorizers are not seen here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from conformance.cluster import labels, ref, selects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.cluster import Cluster, Object

AUTHENTICATED, ACCOUNTS = "system:authenticated", "system:serviceaccounts"
STRANGERS = frozenset({"system:unauthenticated", "system:anonymous"})
BROAD = frozenset({AUTHENTICATED, ACCOUNTS}) | STRANGERS
SUITE = "aik-conformance"  # where the suite's own account lives
READING = frozenset({"get", "list", "watch"})
WRITING = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_KEYS = frozenset({"/.well-known/openid-configuration", "/openid/v1/jwks"})
_DEFAULTS = ("kubernetes.io/bootstrapping", "rbac-defaults")
_BINDINGS = ("clusterrolebindings", "rolebindings")
_GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Subject:
    """A user, a group or a ServiceAccount (`namespace` is empty for the others)."""

    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        """Return `User name`, `Group name` or `ServiceAccount namespace/name`."""
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"

    @property
    def names(self) -> frozenset[tuple[str, str]]:
        """Return the user and the groups that its requests carry, as (kind, name)."""
        everyone = ("Group", AUTHENTICATED)
        if self.kind != "ServiceAccount":
            own = {(self.kind, self.name)}
            return frozenset(own if self.kind == "Group" else own | {everyone})
        groups = (ACCOUNTS, f"{ACCOUNTS}:{self.namespace}")
        user = f"system:serviceaccount:{self.namespace}:{self.name}"
        return frozenset({("User", user), everyone, *(("Group", one) for one in groups)})

    @property
    def namespaces_of_group(self) -> str:
        """Return the namespace whose ServiceAccounts a group is made of, empty for any other."""
        prefix = f"{ACCOUNTS}:"
        is_one = self.kind == "Group" and self.name.startswith(prefix)
        return self.name.removeprefix(prefix) if is_one else ""

    def within(self, namespaces: Iterable[str]) -> bool:
        """Say whether it is, or has among its members, ServiceAccounts of these namespaces."""
        if self.kind == "Group" and self.name in {AUTHENTICATED, ACCOUNTS}:
            return True
        return (self.namespace or self.namespaces_of_group) in set(namespaces) - {""}


@dataclass(frozen=True)
class Rule:
    """One rule of a role. Empty `names` means every object."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    urls: frozenset[str]

    @classmethod
    def of(cls, item: Object) -> Rule:
        """Read a PolicyRule."""
        keys = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
        return cls(*(frozenset(item.get(key) or ()) for key in keys))

    def allows(self, verb: str, group: str, resource: str, name: str = "") -> bool:
        """Say whether it allows a verb on `pods` or `pods/exec`; without a name, on all of them.

        As the API server has it: `*` is every resource with its subresources, `*/scale`
        one subresource of all; `pods` says nothing of `pods/exec`.
        """
        _, slash, part = resource.partition("/")
        resources = {"*", resource, *([f"*/{part}"] if slash else [])}
        return bool(
            self.verbs & {"*", verb}
            and self.groups & {"*", group}
            and self.resources & resources
            and (not self.names or name in self.names)
        )

    @property
    def wildcards(self) -> list[str]:
        """Return where it has a wildcard, in words; `*/scale` and `pods/*` are wildcards too."""
        parts = (("verbs", self.verbs), ("resources", self.resources), ("URLs", self.urls))
        found = [f"{name} {one}" for name, values in parts for one in values if "*" in one]
        return sorted(found + [f"API groups {one}" for one in self.groups if one == "*"])

    @property
    def harmless(self) -> bool:
        """Say whether it only tells of the API itself, or of the caller."""
        if self.resources:
            mine = self.groups <= {"authorization.k8s.io", "authentication.k8s.io"}
            return mine and all(one.startswith("selfsubject") for one in self.resources)
        return self.verbs <= {"get"} and "*" not in self.urls

    def public(self, grant: Grant) -> bool:
        """Say whether everybody may know what it allows: version, health, keys of tokens."""
        if self.resources:
            info = grant.namespace == "kube-public" and self.names == {"cluster-info"}
            return info and self.resources <= {"configmaps"} and self.verbs <= READING
        return self.verbs <= {"get"} and all(
            one.startswith(("/healthz", "/livez", "/readyz", "/version")) or one in _KEYS
            for one in self.urls
        )

    def __str__(self) -> str:
        """Return the rule in words."""
        what = sorted(self.resources | self.urls)
        only = f" called {', '.join(sorted(self.names))}" if self.names else ""
        return f"{', '.join(sorted(self.verbs))} {', '.join(what)}{only}"


@dataclass(frozen=True)
class Role:
    """A Role or ClusterRole with all its rules, those by aggregation included."""

    kind: str
    item: Object
    rules: tuple[Rule, ...]

    @property
    def ref(self) -> str:
        """Return `ClusterRole name` or `Role namespace/name`."""
        return f"{self.kind} {ref(self.item)}"

    @property
    def name(self) -> str:
        """Return its name."""
        return str(self.item["metadata"]["name"])

    @property
    def built_in(self) -> bool:
        """Say whether the API server made it and keeps it as it is."""
        return labels(self.item).get(_DEFAULTS[0]) == _DEFAULTS[1]

    def allows(self, verb: str, group: str, resource: str, name: str = "") -> bool:
        """Say whether one of its rules does."""
        return any(one.allows(verb, group, resource, name) for one in self.rules)


@dataclass(frozen=True)
class Grant:
    """A role, bound to one subject; `namespace` is empty where it is bound for the whole cluster.

    A binding to a role that does not exist grants nothing, until somebody makes it.
    """

    subject: Subject
    role: Role
    namespace: str
    binding: Object

    @property
    def ref(self) -> str:
        """Return who holds what through which binding."""
        kind = "RoleBinding" if self.namespace else "ClusterRoleBinding"
        return f"{self.role.ref} by {kind} {ref(self.binding)} to {self.subject}"

    @property
    def by_default(self) -> bool:
        """Say whether Kubernetes itself binds it: to its own users, groups and controllers.

        Somebody else may stand in such a binding too: a controller's role is its own, and
        everybody may have only what tells of nothing but the API and oneself.
        """
        marked = labels(self.binding).get(_DEFAULTS[0]) == _DEFAULTS[1]
        if not marked or not self.role.built_in:
            return False
        if self.subject.kind == "ServiceAccount":
            theirs = self.role.name.endswith(self.subject.name)
            return theirs and self.subject.namespace == "kube-system"
        if self.subject.name in BROAD or self.subject.namespaces_of_group:
            return all(one.harmless for one in self.role.rules)
        return self.subject.name.startswith("system:")

    def allows(
        self, verb: str, group: str, resource: str, namespace: str = "", name: str = ""
    ) -> bool:
        """Say whether it allows something in a namespace, or (empty) in the whole cluster."""
        return self.namespace in {"", namespace} and self.role.allows(verb, group, resource, name)


@dataclass(frozen=True)
class Rbac:
    """Reads roles and bindings. Raises `UndecidedError` where the API did not answer."""

    cluster: Cluster

    @property
    def roles(self) -> tuple[Role, ...]:
        """Return all roles. Every call looks, so that each case rests on evidence of its own."""
        for kind in ("clusterroles", "roles"):
            self.cluster.all(kind)
        return self._roles

    @property
    def grants(self) -> tuple[Grant, ...]:
        """Return all grants, one for each subject of each binding whose role exists."""
        _ = self.roles
        for kind in _BINDINGS:
            self.cluster.all(kind)
        return self._grants

    @cached_property
    def _roles(self) -> tuple[Role, ...]:
        whole = self.cluster.all("clusterroles")
        return (
            *(Role("ClusterRole", one, tuple(_rules(one, whole))) for one in whole),
            *(Role("Role", one, tuple(_rules(one, ()))) for one in self.cluster.all("roles")),
        )

    @cached_property
    def _grants(self) -> tuple[Grant, ...]:
        known = {one.ref: one for one in self._roles}
        found = []
        for kind in _BINDINGS:
            for binding in self.cluster.all(kind):
                namespace = str(binding["metadata"].get("namespace") or "")
                given = binding["roleRef"]
                place = f"{namespace}/" if given["kind"] == "Role" else ""
                role = known.get(f"{given['kind']} {place}{given['name']}")
                if role is not None and given.get("apiGroup", _GROUP) == _GROUP:
                    subjects = map(_subject, binding.get("subjects") or ())
                    found += [Grant(one, role, namespace, binding) for one in subjects]
        return tuple(found)

    def held_by(self, subject: Subject) -> tuple[Grant, ...]:
        """Return what reaches a subject, by itself and through its groups."""
        names = subject.names
        return tuple(
            one
            for one in self.grants
            if one.subject == subject or (one.subject.kind, one.subject.name) in names
        )

    def by_subject(self) -> Iterator[tuple[Subject, tuple[Grant, ...]]]:
        """Yield every subject that is bound to something, with what is bound to just it."""
        grants = self.grants
        for subject in sorted({one.subject for one in grants}, key=str):
            yield subject, tuple(one for one in grants if one.subject == subject)


def _rules(item: Object, others: tuple[Object, ...]) -> Iterator[Rule]:
    """Yield the rules; those to come by aggregation too, before the controller has copied them."""
    own = list(item.get("rules") or ())
    for selector in (item.get("aggregationRule") or {}).get("clusterRoleSelectors") or ():
        for other in others:
            if other is not item and selects(selector, labels(other)):
                own += [one for one in other.get("rules") or () if one not in own]
    yield from map(Rule.of, own)


def _subject(item: Object) -> Subject:
    """Read a subject; a user named as a ServiceAccount's is that ServiceAccount."""
    kind, name = str(item["kind"]), str(item["name"])
    if kind == "ServiceAccount":
        return Subject(kind, name, str(item.get("namespace") or ""))
    prefix, _, rest = name.partition("system:serviceaccount:")
    if kind == "User" and not prefix and rest.count(":") == 1:
        namespace, _, account = rest.partition(":")
        return Subject("ServiceAccount", account, namespace)
    return Subject(kind, name)
