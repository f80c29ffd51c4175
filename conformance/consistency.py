"""Whether a map agrees with itself: every name it uses is one that it declares.

Each rule yields a complaint: the thing (and its key) that is wrong, and a
sentence that says what to do. The first one refuses the map.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from conformance.platform import Kind
from conformance.quantity import quantity
from conformance.schema import Malformed, at
from conformance.selection import SELECTORS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from datetime import date

    from conformance.constitution import Control, Map, Waiver
    from conformance.platform import Platform

LONGEST_WAIVER = 180  # days
VERSION = 1
LAST_PORT = 65535
# Where a right may be asked for besides a declared namespace.
SUBJECTS = frozenset({"User", "Group", "ServiceAccount"})
PLACES = frozenset({"", "platform", "suite", "kube-system", "kube-node-lease"})


class Complaint(NamedTuple):
    """What is wrong with the `key` of a `thing` that was read from a file."""

    thing: object
    key: str
    message: str


def check(found: Map, platform: Platform, today: date) -> None:
    """Raise Malformed for the first contradiction in a map that is used with a platform."""
    complaints = chain(
        _namespaces(platform),
        _workloads(platform),
        _services(platform),
        _products(platform),
        _accounts(platform),
        _whole(found),
        _claims(found),
        _controls(found),
        _needs(found, platform),
        _waivers(found, today),
    )
    for thing, key, message in complaints:
        path, line = at(thing, key)
        raise Malformed(path, line, message)


def _whole(found: Map) -> Iterator[Complaint]:
    if found.version != VERSION:
        yield Complaint(found, "version", f"version {found.version} is not known; write {VERSION}")
    yield from _twice(found.tested, "id", (one.id for one in found.tested))
    yield from _twice(found.claims, "ref", (one.ref for one in found.claims))
    for contradiction in found.contradictions:
        for quote in contradiction.quotes:
            yield from _lines(quote, "line", (quote.line,), found)


def _claims(found: Map) -> Iterator[Complaint]:
    answered = {ref for one in found.controls for ref in one.refs}
    for kind in ("article", "layer", "metric", "limitation", "risk"):
        for one in getattr(found, f"{kind}s"):
            yield from _lines(one, "line", (one.line,), found)
            if one.kind != kind:
                yield Complaint(one, "ref", f"{one.ref} is a {one.kind}; move it to {one.kind}s")
            if one.ref not in answered and not one.undecided:
                message = f"no control answers to {one.ref}; name it in refs, or say undecided"
                yield Complaint(one, "ref", message)
            if one.ref in answered and one.undecided:
                yield Complaint(one, "undecided", f"{one.ref} has controls; leave undecided out")


def _controls(found: Map) -> Iterator[Complaint]:
    refs, ids = {one.ref for one in found.claims}, {one.id for one in found.controls}
    for one in found.tested:
        if one.for_each not in SELECTORS:
            message = f"for_each {one.for_each!r} selects nothing; choose of {', '.join(SELECTORS)}"
            yield Complaint(one, "for_each", message)
    for control in found.controls:
        for key in ("levels", "classes", "status_lines"):
            if not getattr(control, key) and not (key == "status_lines" and control.refs):
                yield Complaint(control, key, f"{control.id} has no {key}; give at least one")
        yield from _dangling(control, "refs", control.refs, refs)
        yield from _dangling(control, "blocked_by", control.blocked_by, ids)
        yield from _lines(control, "status_lines", control.status_lines, found)
        if control.known is not None:
            yield from _lines(control, "known", (control.known,), found)
    yield from _circles(found.controls)


def _circles(controls: Sequence[Control]) -> Iterator[Complaint]:
    try:
        TopologicalSorter({one.id: one.blocked_by for one in controls}).prepare()
    except CycleError as error:
        ring: list[str] = error.args[1]
        first = next(one for one in controls if one.id in ring)
        message = f"blocked_by goes round: {' < '.join(ring)}; break the circle"
        yield Complaint(first, "blocked_by", message)


def _needs(found: Map, platform: Platform) -> Iterator[Complaint]:
    checks = {one.id for one in found.self_checks}
    credentials = {one.name for one in platform.credentials}
    components = {"mesh"} | {one.component for one in platform.workloads}
    places = PLACES | {one.name for one in platform.namespaces}
    for needs in (one.needs for one in found.tested):
        yield from _dangling(needs, "guards", needs.guards, checks)
        yield from _dangling(needs, "credentials", needs.credentials, credentials)
        yield from _dangling(needs, "components", needs.components, components)
        yield from _dangling(needs, "api", (right.place for right in needs.rights), places)


def _waivers(found: Map, today: date) -> Iterator[Complaint]:
    controls = {one.id: one for one in found.controls}
    yield from _twice(
        found.waivers, "subject", (f"{one.control} {one.subject}" for one in found.waivers)
    )
    for one in found.waivers:
        yield from _dangling(one, "control", (one.control,), controls)
        if one.control in controls and controls[one.control].status == "planned":
            yield Complaint(
                one, "control", f"{one.control} is planned: nothing to waive; remove it"
            )
        yield from _waiver(one, today)


def _waiver(one: Waiver, today: date) -> Iterator[Complaint]:
    for key in ("subject", "reason", "owner", "approved_by", "ticket"):
        if not getattr(one, key).strip():
            yield Complaint(one, key, f"the waiver of {one.control} has an empty {key}; fill it in")
    if any(sign in one.subject for sign in "*?") or one.subject.strip().lower() in {"all", "any"}:
        yield Complaint(one, "subject", f"{one.subject!r} waives more than one; name one subject")
    if one.owner.strip().casefold() == one.approved_by.strip().casefold():
        yield Complaint(one, "approved_by", f"{one.owner} approves alone; another must approve")
    days = (one.until - today).days
    if days < 0:
        message = f"the waiver of {one.control} expired on {one.until}; mend it or have it renewed"
        yield Complaint(one, "until", message)
    if days > LONGEST_WAIVER:
        message = f"{one.until} is {days} days ahead; write a day within {LONGEST_WAIVER} days"
        yield Complaint(one, "until", message)


def _namespaces(platform: Platform) -> Iterator[Complaint]:
    yield from _twice(platform.namespaces, "name", (one.ref for one in platform.namespaces))
    if not platform.platform_namespaces:
        yield Complaint(
            platform, "namespaces", "no namespace is the platform's; say platform: true"
        )
    yield from _quantities(platform.cluster, ("memory", "storage"))


def _workloads(platform: Platform) -> Iterator[Complaint]:
    spaces = {one.name for one in platform.namespaces}
    targets = {f"{one.namespace}/{one.kind}/{one.name}" for one in platform.workloads}
    yield from _twice(platform.workloads, "name", (one.ref for one in platform.workloads))
    for one in platform.workloads:
        yield from _dangling(one, "namespace", (one.namespace,), spaces)
        yield from _quantities(one, ("cpu", "memory", "storage"))
        if one.every_node != (one.kind is Kind.DAEMON_SET):
            yield Complaint(one, "every_node", "only a DaemonSet is on every node; correct one")
        if one.replicas is not None and (one.every_node or one.replicas < 1):
            yield Complaint(one, "replicas", f"{one.replicas} makes no sense here; correct it")
    yield from _twice(platform.autoscalers, "target", (one.ref for one in platform.autoscalers))
    for scaler in platform.autoscalers:
        yield from _dangling(scaler, "target", (scaler.ref,), targets)
        if not 1 <= scaler.minimum <= scaler.maximum:
            yield Complaint(scaler, "minimum", "1 <= minimum <= maximum does not hold; correct it")


def _services(platform: Platform) -> Iterator[Complaint]:
    spaces = {one.name for one in platform.namespaces}
    components = {one.component for one in platform.workloads}
    yield from _twice(platform.services, "name", (one.ref for one in platform.services))
    for one in platform.services:
        yield from _dangling(one, "namespace", (one.namespace,), spaces)
        if one.pending is None:
            yield from _dangling(one, "component", (one.component,), components)
        if not one.ports and not one.load_balancer:
            yield Complaint(one, "ports", f"{one.ref} has no ports; declare at least one")
        yield from _twice(one.ports, "port", (str(port.port) for port in one.ports))
        for port in one.ports:
            yield from _dangling(port, "caller", (port.caller,), spaces)
            if not 1 <= port.port <= LAST_PORT:
                yield Complaint(port, "port", f"{port.port} is no port; write 1 to {LAST_PORT}")


def _products(platform: Platform) -> Iterator[Complaint]:
    credentials = {one.name for one in platform.credentials}
    workloads = {one.ref for one in platform.workloads}
    services = {one.ref for one in platform.services}
    yield from _twice(platform.credentials, "name", (one.name for one in platform.credentials))
    for one in platform.credentials:
        if one.secret is not None and one.secret.count("/") != 1:
            yield Complaint(one, "secret", f"{one.secret!r} is no Secret; write namespace/name")
    for product, roles, accounts in (
        (platform.postgres, ("primary_service", "replica_service"), ("application", "monitoring")),
        (platform.redis, ("master_service", "replica_service"), ("credential", "sentinel")),
    ):
        if product is not None:
            space = product.workload.partition("/")[0]
            yield from _dangling(product, "workload", (product.workload,), workloads)
            for key in roles:
                yield from _dangling(product, key, (f"{space}/{getattr(product, key)}",), services)
            for key in accounts:
                name = getattr(product, key)
                if name is not None:
                    yield from _dangling(product, key, (name,), credentials)


def _accounts(platform: Platform) -> Iterator[Complaint]:
    spaces = {one.name for one in platform.namespaces}
    yield from _twice(platform.accounts, "name", (one.ref for one in platform.accounts))
    for one in platform.accounts:
        yield from _dangling(one, "namespace", (one.namespace,), spaces)
        yield from _dangling(one, "namespaces", one.namespaces, spaces)
    for holder in (*platform.administrators, *platform.cluster_wide):
        kind, _, name = holder.subject.partition(" ")
        parts = 2 if kind == "ServiceAccount" else 1
        if kind not in SUBJECTS or not all(name.split("/", parts - 1)):
            message = f"{holder.subject!r} is no subject; write one like: Group system:masters"
            yield Complaint(holder, "subject", message)


def _dangling(
    thing: object, key: str, names: Iterable[str], known: Container[str]
) -> Iterator[Complaint]:
    for name in names:
        if name not in known:
            yield Complaint(
                thing, key, f"{key}: {name!r} is declared nowhere; correct or declare it"
            )


def _twice(things: Sequence[object], key: str, names: Iterable[str]) -> Iterator[Complaint]:
    seen: set[str] = set()
    for thing, name in zip(things, names, strict=True):
        if name in seen:
            yield Complaint(thing, key, f"{name!r} is there twice; keep one")
        seen.add(name)


def _lines(thing: object, key: str, numbers: Iterable[int], found: Map) -> Iterator[Complaint]:
    for number in numbers:
        if not 1 <= number <= found.source.lines:
            message = f"the status document has no line {number}; write 1 to {found.source.lines}"
            yield Complaint(thing, key, message)


def _quantities(thing: object, keys: Iterable[str]) -> Iterator[Complaint]:
    for key in keys:
        text = getattr(thing, key)
        if text is not None:
            try:
                quantity(text)
            except ValueError as error:
                yield Complaint(thing, key, f"{key}: {error}")
