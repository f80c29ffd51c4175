"""What is declared to exist: the `platform:` section of the map, or a file of its own.

Nothing here is evidence. The section says what a cluster is *meant* to contain
and how it is reached; finding out whether it does is the suites' work.
Quantities (`cpu`, `memory`, `storage`) are Kubernetes quantity strings and are
parsed by `conformance.quantity`. Times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

_Named = TypeVar("_Named", "Workload", "Service")


@dataclass(frozen=True)
class Sizing:
    """What the cluster as a whole must offer (status document, lines 249-252)."""

    kubernetes: str
    nodes: int
    cores: int
    memory: str
    storage: str
    regions: int = 1
    domain: str = "cluster.local"
    mesh_supports: tuple[str, str] | None = None


@dataclass(frozen=True)
class Namespace:
    """A declared namespace. `mesh` says that new pods there get a sidecar."""

    name: str
    role: str
    platform: bool = False
    mesh: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    quota: bool = False
    absent: str | None = None

    @property
    def ref(self) -> str:
        """Return the name, as case ids show it."""
        return self.name


@dataclass(frozen=True)
class Workload:
    """A declared workload. `replicas` None: the document gives no number.

    `cpu`, `memory` and `storage` are per replica; `storage` is the sum of the
    replica's claims. `absent` names the fact that makes the workload, and every
    case about it, not applicable on this platform.
    """

    name: str
    component: str
    namespace: str
    kind: str
    product: str
    version: str | None = None
    images: tuple[str, ...] = ()
    replicas: int | None = None
    more_replicas_allowed: bool = False
    quorum: bool = False
    min_nodes: int | None = None
    cpu: str | None = None
    memory: str | None = None
    storage: str | None = None
    container: str | None = None
    env_prefix: str | None = None
    every_node: bool = False
    absent: str | None = None

    @property
    def ref(self) -> str:
        """Return `namespace/name`, as case ids show it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Port:
    """One declared port of a Service; `protocol` names the first bytes it answers."""

    name: str
    port: int
    protocol: str
    caller: str = "aikernel-core"


@dataclass(frozen=True)
class Service:
    """A declared Service. `routes_to` names the role that must stand behind it."""

    name: str
    namespace: str
    component: str
    ports: tuple[Port, ...]
    headless: bool = False
    routes_to: str | None = None
    pending: str | None = None
    absent: str | None = None

    @property
    def ref(self) -> str:
        """Return `namespace/name`, as case ids show it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Autoscaler:
    """A declared HorizontalPodAutoscaler, found by what it scales."""

    namespace: str
    target: str
    minimum: int
    maximum: int
    cpu_percent: int | None = None
    absent: str | None = None

    @property
    def ref(self) -> str:
        """Return `namespace/kind/name` of the target, as case ids show it."""
        return f"{self.namespace}/{self.target}"


@dataclass(frozen=True)
class Credential:
    """Where a credential is found; its value never leaves `conformance.live`.

    Sources are tried in this order: environment variables
    `CONFORMANCE_<NAME>_<KEY>`, files `<directory>/<key>`, the Secret. `keys` maps
    our name of a part (user, password, database) to the key in the Secret.
    """

    name: str
    keys: dict[str, str]
    secret: str | None = None
    directory: str | None = None
    defaults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """A column of a table whose shape is declared. `default` is a fragment of it."""

    name: str
    type: str
    not_null: bool = False
    default: str | None = None


@dataclass(frozen=True)
class Table:
    """A table whose shape is declared; `indexes` maps name to a fragment of its definition."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    indexes: dict[str, str]


@dataclass(frozen=True)
class Postgres:
    """What PostgreSQL is meant to be."""

    workload: str
    database: str
    role: str
    config_map: str
    config_key: str
    schemas: tuple[str, ...]
    extensions: tuple[str, ...]
    audit: Table
    settings: dict[str, str]
    application: str = "postgres-application"
    monitoring: str = "postgres-monitoring"
    primary_service: str = "postgres-primary"
    replica_service: str = "postgres-replica"
    port: int = 5432
    lag_bound: float = 5.0
    canary_schema: str = "aik_conformance"
    absent: str | None = None

    @property
    def ref(self) -> str:
        """Return the workload's reference."""
        return self.workload


@dataclass(frozen=True)
class Redis:
    """What Redis is meant to be."""

    workload: str
    config_map: str
    eviction: str
    append_fsync: str
    credential: str = "redis"
    master_service: str = "redis-master"
    replica_service: str = "redis-replica"
    port: int = 6379
    sentinel_port: int = 26379
    lag_bytes: int = 1_048_576
    memory_share: float = 0.75
    absent: str | None = None

    @property
    def ref(self) -> str:
        """Return the workload's reference."""
        return self.workload


@dataclass(frozen=True)
class Platform:
    """The declared platform. `route` says how the runner reaches pods.

    `pod-network`: pod addresses are dialled as they are (the runner is inside
    the cluster or on a machine that routes to it). `port-forward`: a tunnel
    through the API, which lands on the pod's loopback. `auto`: the first when
    running in a pod, otherwise the second.
    """

    name: str
    cluster: Sizing
    namespaces: tuple[Namespace, ...]
    workloads: tuple[Workload, ...]
    services: tuple[Service, ...]
    autoscalers: tuple[Autoscaler, ...]
    credentials: tuple[Credential, ...]
    ssd_classes: tuple[str, ...]
    postgres: Postgres | None = None
    redis: Redis | None = None
    route: str = "auto"
    addresses: dict[str, str] = field(default_factory=dict)
    mesh_absent: str | None = None

    def workload(self, ref: str) -> Workload:
        """Return the workload called `namespace/name`; raise KeyError if undeclared."""
        return _only(self.workloads, ref)

    def service(self, ref: str) -> Service:
        """Return the Service called `namespace/name`; raise KeyError if undeclared."""
        return _only(self.services, ref)

    def credential(self, name: str) -> Credential:
        """Return the credential called `name`; raise KeyError if undeclared."""
        found = [one for one in self.credentials if one.name == name]
        if len(found) != 1:
            raise KeyError(name)
        return found[0]

    @property
    def platform_namespaces(self) -> tuple[Namespace, ...]:
        """Return the namespaces that belong to the platform itself (`aikernel-*`)."""
        return tuple(one for one in self.namespaces if one.platform)


def _only(things: tuple[_Named, ...], ref: str) -> _Named:
    found = [one for one in things if one.ref == ref]
    if len(found) != 1:
        raise KeyError(ref)
    return found[0]

