"""The map, the suites and the lab's platform agree; a map that contradicts itself is refused."""

from __future__ import annotations

import ast
import dataclasses
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from conformance.constitution import Constitution, Right, Status, load_constitution
from conformance.schema import Malformed
from conformance.selection import SELECTORS, Case, case_id

ROOT = Path(__file__).parent.parent
MAP = ROOT / "constitution_map.yaml"
LAB = ROOT / "lab" / "platform.yaml"
TODAY = date(2026, 11, 24)

SUITES = {
    "platform": 33,
    "security/mesh": 46,
    "security/edge": 22,
    "security/egress": 7,
    "security/rbac": 12,
    "security/secrets": 18,
    "security/network": 6,
    "data/postgres": 13,
    "data/neo4j": 6,
    "data/elasticsearch": 8,
    "data/redis": 9,
    "data/kafka": 10,
    "data/zookeeper": 5,
    "observability/prometheus": 13,
    "observability/grafana": 5,
    "observability/jaeger": 8,
    "gitops": 12,
    "metrics": 10,
    "availability": 6,
}


@pytest.fixture(scope="module")
def shipped() -> Constitution:
    """The map with its own platform."""
    return load_constitution(MAP, None, TODAY)


@pytest.fixture(scope="module")
def lab() -> Constitution:
    """The map with the platform of the lab."""
    return load_constitution(MAP, LAB, TODAY)


def marks() -> list[tuple[str, str]]:
    """Return every `@pytest.mark.control("ID")` below suites/: the id, and where it stands."""
    found = []
    for file in sorted((ROOT / "suites").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.control":
                where = f"{file.parent.relative_to(ROOT / 'suites')}"
                found.append((ast.literal_eval(node.args[0]), where))
    return found


def test_every_control_of_the_catalogue_is_in_the_map(shipped: Constitution) -> None:
    assert Counter(one.suite for one in shipped.controls) == SUITES
    assert sum(SUITES.values()) == 249
    assert [one.id for one in shipped.self_checks] == [f"H-{number:02}" for number in range(1, 11)]


def test_every_claim_of_the_status_document_is_in_the_map(shipped: Constitution) -> None:
    kinds = Counter(one.kind for one in shipped.claims)
    assert kinds == {"article": 5, "layer": 5, "metric": 15, "limitation": 6, "risk": 5}
    assert len(shipped.contradictions) == 10


def test_active_controls_and_tests_are_the_same(shipped: Constitution) -> None:
    active = sorted(one.id for one in shipped.tested if one.status is Status.ACTIVE)
    assert sorted(name for name, _ in marks()) == active


def test_tests_stand_in_the_suite_that_the_map_names(shipped: Constitution) -> None:
    suites = {one.id: one.suite for one in shipped.controls}
    for name, folder in marks():
        assert suites.get(name, folder) == folder, name


@pytest.mark.parametrize("platform", [None, LAB], ids=["map", "lab"])
def test_case_ids_are_unique(platform: Path | None) -> None:
    constitution = load_constitution(MAP, platform, TODAY)
    ids = [
        case_id(one.id, case)
        for one in constitution.tested
        for case in SELECTORS[one.for_each].of(constitution.platform)
    ]
    assert len(ids) > 249
    assert [name for name, times in Counter(ids).items() if times > 1] == []


def test_a_case_id_names_control_and_part() -> None:
    assert case_id("PLT-WL-002", Case("aikernel-data/postgres", None)) == (
        "PLT-WL-002[aikernel-data/postgres]"
    )
    assert case_id("PG-003", Case("", None)) == "PG-003"


def test_nothing_declared_is_still_a_case(shipped: Constitution) -> None:
    empty = dataclasses.replace(
        shipped.platform,
        namespaces=(),
        workloads=(),
        services=(),
        autoscalers=(),
        postgres=None,
        redis=None,
        accounts=(),
    )
    for name, selector in SELECTORS.items():
        (case,) = selector.of(empty)
        assert (case.absent is None) == (name == "cluster"), name


@pytest.mark.parametrize(
    ("word", "refs"),
    [
        ("cluster", [""]),
        ("postgres", [""]),
        ("redis", [""]),
        ("mesh_namespaces", ["aikernel-core", "aikernel-data", "aikernel-security", "aikernel-ai"]),
        ("every_node_workloads", ["aikernel-monitoring/jaeger-agent"]),
        (
            "autoscalers",
            [
                "istio-system/Deployment/istiod",
                "istio-system/Deployment/istio-ingressgateway",
                "istio-system/Deployment/istio-egressgateway",
            ],
        ),
        (
            "quorum_workloads",
            [
                "aikernel-data/postgres",
                "aikernel-data/elasticsearch",
                "aikernel-data/redis",
                "aikernel-data/kafka",
                "aikernel-data/zookeeper",
            ],
        ),
        (
            "replicated_workloads",
            [
                "aikernel-data/postgres",
                "aikernel-data/elasticsearch",
                "aikernel-data/redis",
                "aikernel-data/kafka",
                "aikernel-data/zookeeper",
                "aikernel-monitoring/prometheus",
                "aikernel-monitoring/grafana",
                "aikernel-monitoring/jaeger-collector",
                "aikernel-monitoring/jaeger-query",
                "istio-system/istiod",  # several by their autoscalers
                "istio-system/istio-ingressgateway",
                "istio-system/istio-egressgateway",
            ],
        ),
    ],
)
def test_words_of_for_each_select_what_they_say(
    shipped: Constitution, word: str, refs: list[str]
) -> None:
    assert [case.ref for case in SELECTORS[word].of(shipped.platform)] == refs


def test_every_word_of_for_each_selects_its_part(shipped: Constitution) -> None:
    counts = {word: len(one.of(shipped.platform)) for word, one in SELECTORS.items()}
    assert counts == {
        "cluster": 1,
        "namespaces": 8,
        "platform_namespaces": 5,
        "mesh_namespaces": 4,
        "workloads": 24,
        "replicated_workloads": 12,
        "quorum_workloads": 5,
        "budgeted_workloads": 9,
        "sized_workloads": 9,
        "stored_workloads": 9,
        "versioned_workloads": 21,
        "every_node_workloads": 1,
        "asked_workloads": 6,
        "configured_workloads": 5,
        "prefixed_workloads": 7,
        "memory_tuned_workloads": 5,
        "services": 32,
        "service_ports": 44,
        "autoscalers": 3,
        "accounts": 7,
        "viewer_accounts": 2,
        "namespace_admin_accounts": 3,
        "developer_accounts": 1,
        "postgres": 1,
        "redis": 1,
    }


def test_what_the_lab_lacks_is_absent_by_name(lab: Constitution) -> None:
    workloads = {case.ref: case.absent for case in SELECTORS["workloads"].of(lab.platform)}
    present = {ref for ref, absent in workloads.items() if absent is None}
    assert present == {
        "aikernel-data/postgres",
        "aikernel-data/redis",
        "aikernel-core/placeholder-api",
    }
    assert lab.platform.absence("mesh") == lab.platform.absence("kafka") == "not in the lab yet"
    assert lab.platform.absence("redis") is None


def test_what_is_absent_takes_with_it_what_hangs_on_it(shipped: Constitution) -> None:
    platform = shipped.platform

    def absent(parts: Any, name: str) -> Any:
        return tuple(dataclasses.replace(p, absent="gone") if p.name == name else p for p in parts)

    without_mesh = dataclasses.replace(
        platform, namespaces=absent(platform.namespaces, "istio-system")
    )
    without_redis = dataclasses.replace(platform, workloads=absent(platform.workloads, "redis"))
    without_istiod = dataclasses.replace(platform, workloads=absent(platform.workloads, "istiod"))
    (scaler, *others) = SELECTORS["autoscalers"].of(without_istiod)
    assert (scaler.absent, {one.absent for one in others}) == ("gone", {None})
    gone = {
        f"{word}:{case.ref}"
        for word in ("workloads", "services", "autoscalers", "redis", "postgres", "service_ports")
        for lacking in (without_mesh, without_redis)
        for case in SELECTORS[word].of(lacking)
        if case.absent == "gone"
    }
    assert gone >= {
        "workloads:istio-system/istiod",
        "autoscalers:istio-system/Deployment/istiod",
        "services:istio-system/istio-egressgateway",
        "service_ports:istio-system/istio-egressgateway:443",
        "workloads:aikernel-data/redis",
        "services:aikernel-data/redis-headless",
        "redis:",
    }
    assert not {one for one in gone if "postgres" in one or "kafka" in one}


# Where the lab's platform may differ from the map's (README: what the lab is not).
MAY_DIFFER = {
    "name",
    "route",
    "mesh_absent",
    "sentinel",
    "login_roles",
    "ssd_classes",
    "version",
    "secret",
    "cpu",
    "memory",
    "storage",
    "kubernetes",
    "nodes",
    "cores",
    "mesh_supports",
    "absent",
}


def differences(one: Any, other: Any, at: str) -> set[str]:
    """Return the paths at which two platforms differ; lists of parts are matched by reference."""
    if type(one) is not type(other):
        return {at}
    if dataclasses.is_dataclass(one):
        return {
            path
            for field in dataclasses.fields(one)
            for path in differences(
                getattr(one, field.name), getattr(other, field.name), f"{at}/{field.name}"
            )
        }
    if isinstance(one, tuple) and one and hasattr(one[0], "ref"):
        left, right = ({part.ref: part for part in parts} for parts in (one, other))
        only = {f"{at}/{ref}" for ref in left.keys() ^ right.keys()}
        both = left.keys() & right.keys()
        return only.union(*(differences(left[ref], right[ref], f"{at}/{ref}") for ref in both))
    return set() if one == other else {at}


def test_the_lab_differs_only_where_it_says_so(shipped: Constitution, lab: Constitution) -> None:
    found = differences(shipped.platform, lab.platform, "")
    own = {path for path in found if "placeholder-api" in path}
    other = {path for path in found - own if path.rpartition("/")[2] not in MAY_DIFFER}
    other = {path for path in other if not path.startswith("/rest/")}
    assert len(own) == 3, "the placeholder is a workload, a Service and an autoscaler"
    assert other == {"/credentials"}, "the lab keeps its passwords in Secrets"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("list pods", Right(("list",), "pods")),
        ("get,list pods in platform", Right(("get", "list"), "pods", place="platform")),
        ("get pods/log in a-b", Right(("get",), "pods/log", place="a-b")),
        ("create pods/eviction", Right(("create",), "pods/eviction")),
        ("update deployments.apps/scale", Right(("update",), "deployments/scale", "apps")),
        ("get /version", Right(("get",), url="/version")),
        ("delete pods in a if load", Right(("delete",), "pods", place="a", only="load")),
    ],
)
def test_rights_are_read_as_rbac_counts_them(text: str, right: Right) -> None:
    assert Right.parse(text) == right


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pods",
        "List pods",
        "list pods in",
        "get version/",
        "get  pods",
        "get,see pods",
        "get pods if read-only",
    ],
)
def test_what_is_no_right_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no right; write one like"):
        Right.parse(text)


SMALL = """\
version: 1
source: {title: Status, updated: 2025-11-07, lines: 10}
articles: [{ref: A1.1, title: a, text: b, line: 1, mark: c}]
layers: []
metrics: [{ref: SM-P1, title: a, text: b, line: 2, undecided: nobody can}]
limitations: []
risks: []
contradictions: [{title: a, quotes: [{line: 3, text: b}]}]
platform:
  name: small
  cluster: {kubernetes: "1.30", nodes: 1, cores: 1, memory: 1Gi, storage: 1Gi}
  namespaces: [{name: data, role: a, platform: true}]
  workloads:
    - {name: postgres, component: postgres, namespace: data, kind: StatefulSet, product: p, cpu: 1m}
  services:
    - name: postgres-primary
      namespace: data
      component: postgres
      ports: [{name: a, port: 5432, protocol: postgres, caller: data}]
  autoscalers: [{namespace: data, target: StatefulSet/postgres, minimum: 1, maximum: 2}]
  credentials: [{name: pg, keys: {user: user}, secret: data/pg}]
  ssd_classes: []
  redis:
    workload: data/postgres
    config_map: a
    eviction: b
    append_fsync: c
    credential: pg
    master_service: postgres-primary
    replica_service: postgres-primary
self_checks: [{id: H-01, title: a, why: b, for_each: cluster, status: planned}]
controls:
  - id: PG-001
    title: a
    suite: data/postgres
    severity: high
    levels: [declared]
    classes: [read-only]
    for_each: workloads
    status: active
    refs: [A1.1]
    status_lines: [1, 2]
    needs: {api: [list pods in data], credentials: [pg], guards: [H-01], components: [postgres]}
    blocked_by: [PG-002]
  - {id: PG-002, title: a, suite: b, severity: low, levels: [observed], classes: [canary],
     for_each: cluster, status: planned, status_lines: [3]}
waivers:
  - control: PG-001
    subject: data/postgres-0
    reason: because
    owner: a@example.org
    approved_by: b@example.org
    ticket: T-1
    until: 2026-12-24
"""

WORKLOAD = "name: postgres, component: b, namespace: data, kind: Deployment, product: c"
SERVICE = "name: postgres-primary, namespace: data, component: postgres, load_balancer: true"
SCALER = "namespace: data, target: StatefulSet/postgres, minimum: 1, maximum: 1"
WAIVER = (
    "control: PG-001, subject: data/postgres-0, reason: a, owner: b, approved_by: c, ticket: d, "
    "until: 2026-12-01"
)

# What is put in place of what in the small map, and words of the refusal.
REFUSED = [
    ("version: 1", "version: 2", "version 2 is not known"),
    ("ref: A1.1, title", "ref: X9, title", "'X9' is no reference"),
    ("ref: A1.1, title", "ref: L1, title", "L1 is a layer; move it to layers"),
    ("line: 1, mark", "line: 11, mark", "has no line 11"),
    ("line: 1, mark", "line: 0, mark", "has no line 0"),
    (", undecided: nobody can", "", "no control answers to SM-P1"),
    ("undecided: nobody can", 'undecided: ""', "no control answers to SM-P1"),
    ("mark: c", "undecided: why", "A1.1 has controls; leave undecided out"),
    ("quotes: [{line: 3", "quotes: [{line: 33", "has no line 33"),
    ("platform: true", "platform: false", "no namespace is the platform's"),
    ("memory: 1Gi", "memory: 1GB", "'1GB' is no quantity"),
    ("cpu: 1m", "cpu: lots", "'lots' is no quantity"),
    ("namespace: data, kind", "namespace: date, kind", "namespace: 'date' is declared nowhere"),
    ("kind: StatefulSet", "kind: statefulset", "write one of Deployment, StatefulSet, DaemonSet"),
    ("kind: StatefulSet", "kind: DaemonSet", "only a DaemonSet is on every node"),
    ("cpu: 1m", "replicas: 0", "0 makes no sense here"),
    ("namespace: data\n", "namespace: date\n", "namespace: 'date' is declared nowhere"),
    ("component: postgres\n", "component: pg\n", "component: 'pg' is declared nowhere"),
    ("port: 5432", "port: 65536", "65536 is no port"),
    ("port: 5432", "port: 0", "0 is no port"),
    ("protocol: postgres", "protocol: tcp", "write one of postgres, redis"),
    ("caller: data", "caller: core", "caller: 'core' is declared nowhere"),
    ("target: StatefulSet/postgres", "target: StatefulSet/x", "'data/StatefulSet/x' is declared"),
    ("minimum: 1", "minimum: 3", "1 <= minimum <= maximum does not hold"),
    ("secret: data/pg", "secret: pg", "'pg' is no Secret; write namespace/name"),
    ("ssd_classes: []", "ssd_classes: []\n  route: no", "write one of auto, pod-network"),
    ("id: PG-001", "id: H-01", "'H-01' is there twice"),
    ("id: PG-002", "id: PG-001", "'PG-001' is there twice"),
    ("line: 1, mark: c}", "line: 1}, {ref: A1.1, title: a, text: b, line: 1}", "'A1.1' is there"),
    (
        "role: a, platform: true}",
        "role: a, platform: true}, {name: data, role: b}",
        "'data' is there",
    ),
    ("cpu: 1m}", f"cpu: 1m}}\n    - {{{WORKLOAD}}}", "'data/postgres' is there twice"),
    (
        "- name: postgres-primary",
        f"- {{{SERVICE}}}\n    - name: postgres-primary",
        "is there twice",
    ),
    ("caller: data}", "caller: data}, {name: b, port: 5432, protocol: http}", "'5432' is there"),
    ("ports: [{name: a, port: 5432, protocol: postgres, caller: data}]", "ports: []", "no ports"),
    ("maximum: 2}", f"maximum: 2}}, {{{SCALER}}}", "'data/StatefulSet/postgres' is there twice"),
    ("secret: data/pg}", "secret: data/pg}, {name: pg, keys: {}}", "'pg' is there twice"),
    ("workload: data/postgres", "workload: data/redis", "workload: 'data/redis' is declared"),
    (
        "  ssd_classes: []\n",
        "  accounts: [{name: a, namespace: nowhere, meaning: admin}]\n  ssd_classes: []\n",
        "namespace: 'nowhere' is declared",
    ),
    (
        "  ssd_classes: []\n",
        "  administrators: [{subject: Robot r, why: c}]\n  ssd_classes: []\n",
        "'Robot r' is no subject",
    ),
    ("credential: pg", "credential: redis", "credential: 'redis' is declared nowhere"),
    ("master_service: postgres-primary", "master_service: m", "master_service: 'data/m' is"),
    (
        "for_each: cluster, status: planned}]",
        "for_each: x, status: planned}]",
        "'x' selects nothing",
    ),
    (
        "until: 2026-12-24",
        f"until: 2026-12-24\n  - {{{WAIVER}}}",
        "'PG-001 data/postgres-0' is there",
    ),
    ("severity: high", "severity: urgent", "write one of critical, high, medium, low"),
    ("levels: [declared]", "levels: []", "PG-001 has no levels"),
    ("classes: [read-only]", "classes: []", "PG-001 has no classes"),
    ("for_each: workloads", "for_each: statefulsets", "'statefulsets' selects nothing; choose of"),
    ("status: active", "status: done", "write one of active, planned"),
    ("refs: [A1.1]", "refs: [A1.1, A9.9]", "refs: 'A9.9' is declared nowhere"),
    ("status_lines: [1, 2]", "status_lines: [1, 12]", "has no line 12"),
    ("status_lines: [1, 2]", "known: 12", "has no line 12"),
    ("status_lines: [3]", "advisory: no", "write true or false"),
    ("status_lines: [3]", "status_lines: []", "PG-002 has no status_lines"),
    ("list pods in data", "lists pods", "'lists pods' is no right"),
    ("list pods in data", "list pods in dato", "api: 'dato' is declared nowhere"),
    ("list pods in data", "list", "'list' is no right"),
    ("credentials: [pg]", "credentials: [gp]", "credentials: 'gp' is declared nowhere"),
    ("guards: [H-01]", "guards: [H-99]", "guards: 'H-99' is declared nowhere"),
    ("components: [postgres]", "components: [kafka]", "components: 'kafka' is declared nowhere"),
    ("blocked_by: [PG-002]", "blocked_by: [PG-003]", "blocked_by: 'PG-003' is declared nowhere"),
    ("blocked_by: [PG-002]", "blocked_by: [PG-001]", "goes round: PG-001 < PG-001"),
    ("control: PG-001", "control: PG-009", "control: 'PG-009' is declared nowhere"),
    ("control: PG-001", "control: PG-002", "PG-002 is planned: nothing to waive"),
    ("subject: data/postgres-0", 'subject: " "', "has an empty subject"),
    ("subject: data/postgres-0", "subject: data/*", "'data/*' waives more than one"),
    ("subject: data/postgres-0", "subject: all", "'all' waives more than one"),
    ("- control: PG-001", "- controls: PG-001", "no key 'controls'; did you mean control?"),
    ("approved_by: b@example.org", "approved: b@example.org", "did you mean approved_by?"),
    ("approved_by: b@example.org", "approved_by: ' A@example.org'", "approves alone"),
    ("reason: because", 'reason: ""', "has an empty reason"),
    ("until: 2026-12-24", "until: 2026-11-23", "expired on 2026-11-23"),
    ("until: 2026-12-24", "until: 2027-05-24", "is 181 days ahead"),
    ("until: 2026-12-24", "until: next year", "write a date"),
    ("until: 2026-12-24", "until: 2026-12-24\n    unti: 1", "did you mean until?"),
    ("waivers:", "waivers:\nwaivers:", "already on line"),
]


@pytest.mark.parametrize(("old", "new", "words"), REFUSED)
def test_a_map_that_contradicts_itself_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = tmp_path / "map.yaml"
    assert old in SMALL
    path.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(Malformed) as caught:
        load_constitution(path, None, TODAY)
    begin = SMALL[: SMALL.index(old)].count("\n") + 1
    allowed = range(begin, begin + new.count("\n") + 1)
    assert words in caught.value.message
    assert caught.value.path == path
    assert caught.value.line in allowed, str(caught.value)


def test_the_small_map_itself_is_good(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(SMALL)
    assert load_constitution(path, None, TODAY).anything("PG-001").title == "a"
    assert load_constitution(path, None, date(2026, 12, 24)).waivers, "until includes its day"
    assert load_constitution(path, None, date(2026, 6, 27)).waivers, "180 days are allowed"


@pytest.mark.parametrize("port", ["1", "65535"])
def test_every_port_number_is_allowed(tmp_path: Path, port: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(SMALL.replace("5432", port))
    assert load_constitution(path, None, TODAY).platform.services[0].ports[0].port == int(port)


def test_a_platform_of_its_own_is_refused_with_its_own_file(tmp_path: Path) -> None:
    path = tmp_path / "theirs.yaml"
    path.write_text(LAB.read_text().replace("namespace: aikernel-core", "namespace: nowhere"))
    with pytest.raises(Malformed, match=r"theirs.yaml:\d+: namespace: 'nowhere' is declared"):
        load_constitution(MAP, path, TODAY)


def test_the_digest_covers_map_and_platform(
    shipped: Constitution, lab: Constitution, tmp_path: Path
) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(MAP.read_text() + "# one remark\n")
    other = load_constitution(path, None, TODAY)
    assert len({shipped.digest, lab.digest, other.digest}) == 3
    assert shipped.digest == load_constitution(MAP, None, TODAY).digest
