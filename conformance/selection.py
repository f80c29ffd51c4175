"""The vocabulary of `for_each`: which declared parts a control is judged for.

Selection reads what is declared and never the cluster, so the set of cases is
known before the first request. A selector that finds nothing declared still
gives one case, absent with its reason: nothing leaves a report silently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.accounts import Meaning
from conformance.platform import Autoscaler, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conformance.platform import Namespace, Platform, Postgres, Redis, Workload


@dataclass(frozen=True)
class Case:
    """One declared part to judge. `ref` is unique within its selector, empty for a single one.

    `absent` is the declared fact that makes the case not applicable; where nothing
    at all is declared, `thing` is None beside it.
    """

    ref: str
    thing: object
    absent: str | None = None


@dataclass(frozen=True)
class Selector:
    """A word of `for_each`: what it yields, and the argument of the test that takes it.

    `argument` is empty where the case is the cluster as a whole; a `service_port`
    is a pair of Service and Port.
    """

    argument: str
    title: str
    of: Callable[[Platform], tuple[Case, ...]]


def case_id(control: str, case: Case) -> str:
    """Return the id of a case: `PLT-WL-002[aikernel-data/postgres]`, or just `PG-003`."""
    return f"{control}[{case.ref}]" if case.ref else control


def _cluster(platform: Platform) -> tuple[Case, ...]:
    return (Case("", platform),)


def _postgres(platform: Platform) -> tuple[Case, ...]:
    return _product(platform.postgres, platform, "PostgreSQL")


def _redis(platform: Platform) -> tuple[Case, ...]:
    return _product(platform.redis, platform, "Redis")


def _product(one: Postgres | Redis | None, platform: Platform, title: str) -> tuple[Case, ...]:
    if one is None:
        return _or_none((), title)
    return (Case("", one, one.absent or _absent(platform.workload(one.workload), platform)),)


def _autoscalers(platform: Platform) -> tuple[Case, ...]:
    cases = (Case(one.ref, one, _absent(one, platform)) for one in platform.autoscalers)
    return _or_none(cases, "autoscalers")


def _absent(one: Workload | Service | Autoscaler, platform: Platform) -> str | None:
    """Return why a part is absent: by itself, with its namespace, or with what it stands for."""
    reasons = [one.absent]
    reasons += [space.absent for space in platform.namespaces if space.name == one.namespace]
    for workload in platform.workloads:
        if isinstance(one, Autoscaler) and _scaled(workload) == one.ref:
            reasons.append(workload.absent)
    if isinstance(one, Service) and any(w.component == one.component for w in platform.workloads):
        reasons.append(platform.absence(one.component))
    return next(filter(None, reasons), None)


def _scaled(workload: Workload) -> str:
    return f"{workload.namespace}/{workload.kind}/{workload.name}"


def _namespaces(title: str, wanted: Callable[[Namespace], bool]) -> Selector:
    def of(platform: Platform) -> tuple[Case, ...]:
        cases = (Case(one.ref, one, one.absent) for one in platform.namespaces if wanted(one))
        return _or_none(cases, title)

    return Selector("namespace", title, of)


def _workloads(title: str, wanted: Callable[[Workload, Platform], bool]) -> Selector:
    def of(platform: Platform) -> tuple[Case, ...]:
        chosen = (one for one in platform.workloads if wanted(one, platform))
        return _or_none((Case(one.ref, one, _absent(one, platform)) for one in chosen), title)

    return Selector("workload", title, of)


def _services(platform: Platform) -> tuple[Case, ...]:
    cases = (Case(one.ref, one, _absent(one, platform)) for one in platform.services)
    return _or_none(cases, "Services")


def _service_ports(platform: Platform) -> tuple[Case, ...]:
    cases = (
        Case(f"{service.ref}:{port.port}", (service, port), _absent(service, platform))
        for service in platform.services
        for port in service.ports
    )
    return _or_none(cases, "Service ports")


def _accounts(title: str, *meanings: Meaning) -> Selector:
    def of(platform: Platform) -> tuple[Case, ...]:
        chosen = (one for one in platform.accounts if one.meaning in meanings)
        return _or_none((Case(one.ref, one) for one in chosen), title)

    return Selector("account", title, of)


def _replicated(one: Workload, platform: Platform) -> bool:
    scalers = {scaler.ref for scaler in platform.autoscalers if scaler.maximum > 1}
    return (one.replicas or 0) > 1 or _scaled(one) in scalers


def _or_none(cases: Iterable[Case], title: str) -> tuple[Case, ...]:
    return tuple(cases) or (Case("", None, f"no {title} declared"),)


SELECTORS: dict[str, Selector] = {
    "cluster": Selector("", "the cluster as a whole", _cluster),
    "namespaces": _namespaces("namespaces", lambda _: True),
    "platform_namespaces": _namespaces("platform namespaces", lambda one: one.platform),
    "mesh_namespaces": _namespaces("mesh namespaces", lambda one: one.mesh),
    "workloads": _workloads("workloads", lambda *_: True),
    "replicated_workloads": _workloads("workloads of several replicas", _replicated),
    "quorum_workloads": _workloads("quorum workloads", lambda one, _: one.quorum),
    "budgeted_workloads": _workloads(
        "workloads with a disruption budget", lambda one, _: one.disruption_budget
    ),
    "sized_workloads": _workloads(
        "workloads with sizes", lambda one, _: bool(one.cpu or one.memory)
    ),
    "stored_workloads": _workloads("workloads with storage", lambda one, _: bool(one.storage)),
    "versioned_workloads": _workloads("workloads with versions", lambda one, _: bool(one.version)),
    "every_node_workloads": _workloads("workloads of every node", lambda one, _: one.every_node),
    "asked_workloads": _workloads("workloads to be asked", lambda one, _: bool(one.asks)),
    "configured_workloads": _workloads(
        "workloads with ConfigMaps", lambda one, _: bool(one.config_maps)
    ),
    "prefixed_workloads": _workloads(
        "workloads configured by environment", lambda one, _: bool(one.env_prefix)
    ),
    "memory_tuned_workloads": _workloads(
        "workloads with a memory share", lambda one, _: one.memory_share is not None
    ),
    "services": Selector("service", "Services", _services),
    "service_ports": Selector("service_port", "Service ports", _service_ports),
    "autoscalers": Selector("autoscaler", "autoscalers", _autoscalers),
    "accounts": _accounts("accounts", *Meaning),
    "viewer_accounts": _accounts("viewers", Meaning.VIEWER, Meaning.MONITORING_VIEWER),
    "namespace_admin_accounts": _accounts("namespace admins", Meaning.NAMESPACE_ADMIN),
    "developer_accounts": _accounts("developers", Meaning.DEVELOPER),
    "postgres": Selector("postgres", "PostgreSQL", _postgres),
    "redis": Selector("redis", "Redis", _redis),
}
