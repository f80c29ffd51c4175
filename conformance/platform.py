"""What is declared to exist: the `platform:` section of the map, or a file of its own.

Nothing here is evidence. The section says what a cluster is *meant* to contain
and how it is reached; finding out whether it does is the suites' work.
Quantities (`cpu`, `memory`, `storage`) are Kubernetes quantity strings and are
parsed by `conformance.quantity`. Times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from conformance.accounts import Account, Holder, Meaning, Rest
from conformance.products import Column, Postgres, Redis, Table

__all__ = [
    "Account",
    "Autoscaler",
    "Column",
    "Credential",
    "Holder",
    "Kind",
    "Meaning",
    "Namespace",
    "Platform",
    "Port",
    "Postgres",
    "Protocol",
    "Redis",
    "Rest",
    "Route",
    "Service",
    "Sizing",
    "Table",
    "Workload",
]

_Named = TypeVar("_Named", "Workload", "Service")


class Kind(StrEnum):
    """The kinds of workload that a platform declares."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"


class Protocol(StrEnum):
    """What a port answers: `http` in clear or in TLS, `peer` what no client can begin."""

    POSTGRES = "postgres"
    REDIS = "redis"
    BOLT = "bolt"
    KAFKA = "kafka"
    ZOOKEEPER = "zookeeper"
    HTTP = "http"
    HTTPS = "https"
    GRPC = "grpc"
    UDP = "udp"
    PEER = "peer"


class Route(StrEnum):
    """How the runner reaches pods.

    `pod-network`: pod addresses are dialled as they are (the runner is inside
    the cluster or on a machine that routes to it). `port-forward`: a tunnel
    through the API, which lands on the pod's loopback. `auto`: the first when
    running in a pod, otherwise the second.
    """

    AUTO = "auto"
    POD_NETWORK = "pod-network"
    PORT_FORWARD = "port-forward"


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
    replica's claims. `asks` is the protocol in which the product itself says how
    it is; `config_maps` are the ones it reads; `env_prefix` is what its image reads
    from the environment; `memory_share` is the largest part of the container's
    memory limit that the product may be told to use; `exempt_nodes` are labels (`key` or
    `key=value`) of nodes that an `every_node` workload may leave out. `absent` names the fact that
    makes the workload, and every case about it, not applicable on this platform.
    """

    name: str
    component: str
    namespace: str
    kind: Kind
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
    asks: str | None = None
    config_maps: tuple[str, ...] = ()
    env_prefix: str | None = None
    memory_share: float | None = None
    disruption_budget: bool = False
    every_node: bool = False
    exempt_nodes: tuple[str, ...] = ()
    absent: str | None = None

    @property
    def ref(self) -> str:
        """Return `namespace/name`, as case ids show it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Port:
    """One declared port of a Service. `caller`: a namespace from which it must answer."""

    name: str
    port: int
    protocol: Protocol
    caller: str = "aikernel-core"


@dataclass(frozen=True)
class Service:
    """A declared Service. `routes_to` names the role that must stand behind it.

    `pending` says why the document itself does not expect a backend yet. The ports
    of a load balancer are not declared: they are read from the Service.
    """

    name: str
    namespace: str
    component: str
    ports: tuple[Port, ...] = ()
    headless: bool = False
    load_balancer: bool = False
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
class Platform:
    """The declared platform.

    `addresses` gives `host:port` where `namespace/name:port` of a pod or Service is
    reached by another door.
    `mesh_absent` names the fact that there is no mesh to judge.
    `administrators` may do everything, beside the accounts that are meant to;
    `cluster_wide` may hold rights of the whole cluster where their namespace may not.
    `rest` says where it can be seen how Secrets are stored.
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
    route: Route = Route.AUTO
    addresses: dict[str, str] = field(default_factory=dict)
    mesh_absent: str | None = None
    accounts: tuple[Account, ...] = ()
    administrators: tuple[Holder, ...] = ()
    cluster_wide: tuple[Holder, ...] = ()
    rest: Rest = Rest()  # noqa: RUF009 - frozen, so one is enough

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

    def absence(self, component: str) -> str | None:
        """Return why a component is absent, None if it is there; raise KeyError if undeclared.

        A component is absent when all of its workloads are.
        """
        if component == "mesh":
            return self.mesh_absent
        reasons = [one.absent for one in self.workloads if one.component == component]
        if not reasons:
            raise KeyError(component)
        return None if None in reasons else reasons[0]

    @property
    def platform_namespaces(self) -> tuple[Namespace, ...]:
        """Return the namespaces that belong to the platform itself (`aikernel-*`)."""
        return tuple(one for one in self.namespaces if one.platform)


def _only(things: tuple[_Named, ...], ref: str) -> _Named:
    found = [one for one in things if one.ref == ref]
    if len(found) != 1:
        raise KeyError(ref)
    return found[0]
