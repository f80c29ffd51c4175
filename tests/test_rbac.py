"""Who may do what, as the API server has it; the suite's own role stands its own controls."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.cluster import Cluster
from conformance.commands.rbac import _roles, granted
from conformance.powers import climbs, holds_everything, seizes
from conformance.rbac import Rbac, Rule, Subject
from conformance.tokens import mounts_token
from conformance.verdict import Outcome
from tests.replaying import LAB, WorldLens, constitution_with, decide_case

KINDS = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")
DEFAULT = {"kubernetes.io/bootstrapping": "rbac-defaults"}
EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}


def listed(**objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the recorded lists of a cluster that has just these objects."""
    return [
        {
            "question": {"probe": "kubernetes.list", "subject": kind, "arguments": {"kind": kind}},
            "taken_at": "2026-11-24T12:00:00+00:00",
            "value": objects.get(kind, []),
        }
        for kind in KINDS
    ]


def role(name: str, *rules: dict[str, Any], namespace: str = "", **more: Any) -> dict[str, Any]:
    """Return a Role or ClusterRole."""
    meta: dict[str, Any] = {"name": name, "labels": more.pop("labels", {})}
    if namespace:
        meta["namespace"] = namespace
    return {"metadata": meta, "rules": list(rules), **more}


def binding(
    to: str, *subjects: dict[str, str], namespace: str = "", name: str = "b", labels: Any = None
) -> dict[str, Any]:
    """Return a binding to a ClusterRole."""
    meta: dict[str, Any] = {"name": name, "labels": labels or {}}
    if namespace:
        meta["namespace"] = namespace
    given = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": to}
    return {"metadata": meta, "roleRef": given, "subjects": list(subjects)}


def account(name: str, namespace: str) -> dict[str, str]:
    """Return a ServiceAccount as a subject."""
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def group(name: str) -> dict[str, str]:
    """Return a group as a subject."""
    return {"kind": "Group", "name": name}


def rbac_of(**objects: list[dict[str, Any]]) -> Rbac:
    """Return the view of a cluster that has just these objects."""
    return Rbac(Cluster(WorldLens(listed(**objects))))


@pytest.mark.parametrize(
    ("resources", "asked", "holds"),
    [
        (["pods"], "pods", True),
        (["pods"], "pods/exec", False),
        (["pods/exec"], "pods", False),
        (["pods/*"], "pods/exec", False),  # the API server knows no such wildcard
        (["*/exec"], "pods/exec", True),
        (["*"], "pods/exec", True),
    ],
)
def test_a_subresource_is_a_resource_of_its_own(
    resources: list[str], asked: str, *, holds: bool
) -> None:
    rule = Rule.of({"apiGroups": [""], "resources": resources, "verbs": ["get"]})
    assert rule.allows("get", "", asked) is holds


def test_names_allow_only_what_they_name() -> None:
    rule = Rule.of(
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["a"]}
    )
    assert rule.allows("get", "", "secrets", "a")
    assert not rule.allows("get", "", "secrets", "b")
    assert not rule.allows("get", "", "secrets")


def test_rules_to_come_by_aggregation_count() -> None:
    selector = {"clusterRoleSelectors": [{"matchLabels": {"to": "sum"}}]}
    found = rbac_of(
        clusterroles=[
            role("sum", aggregationRule=selector),
            role("part", EVERYTHING, labels={"to": "sum"}),
        ],
        clusterrolebindings=[binding("sum", account("a", "n"))],
    )
    assert holds_everything(found.held_by(Subject("ServiceAccount", "a", "n")))


@pytest.mark.parametrize(
    "subject",
    [
        account("a", "n"),
        group("system:serviceaccounts"),
        group("system:serviceaccounts:n"),
        group("system:authenticated"),
        {"kind": "User", "name": "system:serviceaccount:n:a"},
    ],
)
def test_rights_reach_an_account_by_every_name_it_has(subject: dict[str, str]) -> None:
    found = rbac_of(
        clusterroles=[role("all", EVERYTHING)], clusterrolebindings=[binding("all", subject)]
    )
    assert holds_everything(found.held_by(Subject("ServiceAccount", "a", "n")))
    if subject.get("name") not in {"system:authenticated", "system:serviceaccounts"}:
        assert not found.held_by(Subject("ServiceAccount", "a", "m"))


@pytest.mark.parametrize(
    ("name", "subject", "default"),
    [
        ("system:controller:job-controller", account("job-controller", "kube-system"), True),
        ("system:controller:job-controller", account("tiller", "kube-system"), False),
        ("system:controller:job-controller", account("job-controller", "n"), False),
        ("cluster-admin", group("system:masters"), True),
        ("cluster-admin", group("system:serviceaccounts"), False),
        ("cluster-admin", group("system:authenticated"), False),
        ("cluster-admin", group("everybody"), False),
    ],
)
def test_who_was_added_to_a_default_binding_is_no_default(
    name: str, subject: dict[str, str], *, default: bool
) -> None:
    found = rbac_of(
        clusterroles=[role(name, EVERYTHING, labels=DEFAULT)],
        clusterrolebindings=[binding(name, subject, labels=DEFAULT)],
    )
    assert found.grants[0].by_default is default


@pytest.mark.parametrize(
    ("rule", "way"),
    [
        (("", "serviceaccounts/token", "create"), "tokens"),
        (("", "nodes/proxy", "get"), "nodes/proxy"),
        (("", "pods/exec", "get"), "commands"),
        (("", "pods", "create"), "makes pods"),
        (("apps", "daemonsets", "patch"), "makes pods"),
        (("batch", "cronjobs", "create"), "makes pods"),
        (("", "secrets", "list"), "Secret"),
        (("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "patch"), "admitted"),
    ],
)
def test_longer_ways_to_everything_are_seen(rule: tuple[str, str, str], way: str) -> None:
    api_group, resource, verb = rule
    given = {"apiGroups": [api_group], "resources": [resource], "verbs": [verb]}
    wide = rbac_of(
        clusterroles=[role("r", given)], clusterrolebindings=[binding("r", account("a", "n"))]
    )
    narrow = rbac_of(
        clusterroles=[role("r", given)],
        rolebindings=[binding("r", account("a", "n"), namespace="n")],
    )
    (found,) = climbs(wide.grants)
    assert way in found
    assert not climbs(narrow.grants)


def test_certificates_need_both_rights() -> None:
    csr = "certificates.k8s.io"
    approve = {
        "apiGroups": [csr],
        "resources": ["certificatesigningrequests/approval"],
        "verbs": ["update"],
    }
    sign = {"apiGroups": [csr], "resources": ["signers"], "verbs": ["approve"]}
    for rules, ways in (((approve,), 0), ((sign,), 0), ((approve, sign), 1)):
        found = rbac_of(
            clusterroles=[role("r", *rules)],
            clusterrolebindings=[binding("r", account("a", "n"))],
        )
        assert len(climbs(found.grants)) == ways


@pytest.mark.parametrize(
    ("rules", "ways"),
    [
        ([("rbac.authorization.k8s.io", "clusterroles", ["escalate", "patch"])], 1),
        ([("rbac.authorization.k8s.io", "clusterroles", ["escalate"])], 0),
        ([("rbac.authorization.k8s.io", "clusterroles", ["bind"])], 0),
        ([("", "users", ["impersonate"])], 1),
        (
            [
                ("rbac.authorization.k8s.io", "clusterroles", ["bind"]),
                ("rbac.authorization.k8s.io", "clusterrolebindings", ["create"]),
            ],
            1,
        ),
    ],
)
def test_one_request_away_from_everything(
    rules: list[tuple[str, str, list[str]]], ways: int
) -> None:
    given = [{"apiGroups": [g], "resources": [r], "verbs": v} for g, r, v in rules]
    found = rbac_of(
        clusterroles=[role("r", *given)], clusterrolebindings=[binding("r", account("a", "n"))]
    )
    assert len(seizes(found.grants)) == ways


def test_a_token_counts_where_a_container_sees_it() -> None:
    def pod(audience: str | None, *, mounted: bool) -> dict[str, Any]:
        token = {"path": "token", **({"audience": audience} if audience else {})}
        volume = {"name": "t", "projected": {"sources": [{"serviceAccountToken": token}]}}
        mounts = [{"name": "t", "mountPath": "/var/run"}] if mounted else []
        return {
            "spec": {"volumes": [volume], "containers": [{"name": "c", "volumeMounts": mounts}]}
        }

    assert mounts_token(pod(None, mounted=True))
    assert not mounts_token(pod(None, mounted=False))
    assert not mounts_token(pod("istio-ca", mounted=True))


@pytest.mark.parametrize("profile", ["gate", "audit", "full"])
@pytest.mark.parametrize("control", ["RBAC-003", "RBAC-004"])
def test_the_role_of_the_suite_stands_its_own_controls(profile: str, control: str) -> None:
    constitution = constitution_with(LAB)
    objects: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    rights = set(granted(constitution, profile))
    for one in _roles(rights, "aik-conformance/runner"):
        objects[f"{one['kind'].lower()}s"].append(one)
    objects["clusterroles"].append(role("cluster-admin", EVERYTHING, labels=DEFAULT))
    masters = binding("cluster-admin", group("system:masters"), labels=DEFAULT)
    objects["clusterrolebindings"].append(masters)
    outcome, verdict = decide_case(control, listed(**objects), constitution, frozenset())
    assert outcome is Outcome.PASSED, [one for one in verdict.findings if one.outcome != "passed"]
    assert any("aik-conformance" in one.subject for one in verdict.findings)


def test_the_role_of_the_suite_makes_tokens_of_nobody_above_it() -> None:
    constitution = constitution_with(LAB)
    tokens = {what for _, _, what, _ in granted(constitution, "full") if "token" in what}
    assert tokens
    assert all(":" in one for one in tokens), "a right without a name is one for admin-user"
    assert not {one for one in tokens if one.endswith((":admin-user", ":developer"))}
