"""The suite's own instruments: clock, tunnels, TLS, rights, names, and what it leaves behind."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from conformance.cluster import labels
from conformance.commands.rbac import names, places
from conformance.constitution import Constitution, Control, Status
from conformance.evidence import Lens, Question
from conformance.pods import Pod, Role, moment
from conformance.selection import SELECTORS
from conformance.verdict import UndecidedError
from conformance.wire import GREETINGS, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.cluster import Cluster, Object
    from conformance.constitution import Right
    from conformance.doors import Door, Doors
    from conformance.evidence import Answer
    from conformance.platform import Platform, Protocol

RUN, EXPIRES, PREFIX = "aik-conformance/run", "aik-conformance/expires", "aik-conformance-"
_LIFE = timedelta(hours=1)  # of what says nothing of its own expiry
_CLOSED = 1  # a port on which nothing has listened for decades
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_DNS, _NO_SUCH_NAME = 53, 3
_TRIED = 5  # pods that are tried before no command can be run


@dataclass(frozen=True)
class Skew:
    """Between which bounds the cluster's clock differs from the runner's, in seconds."""

    least: float
    most: float

    def __str__(self) -> str:
        """Return both bounds."""
        return f"between {self.least:+.2f} s and {self.most:+.2f} s"


@dataclass(frozen=True)
class Resolved:
    """What DNS says of a name."""

    found: bool
    unknown: bool
    addresses: tuple[str, ...]
    route: str

    def __str__(self) -> str:
        """Return the answer for people."""
        said = ", ".join(self.addresses) if self.found else "no such name"
        return f"{said if self.found or self.unknown else 'an error'}, asked by {self.route}"


@dataclass(frozen=True)
class Instruments:
    """Tries the instruments. Raises `UndecidedError` where one cannot be tried."""

    lens: Lens
    cluster: Cluster
    doors: Doors
    platform: Platform

    def skew(self) -> Skew:
        """Return the difference of the clocks: a header of whole seconds leaves one second open."""
        samples = self.lens.look(Question("instruments.clock", "clock")).value
        return Skew(
            least=max(one["date"] - one["after"] for one in samples),
            most=min(one["date"] + 1 - one["before"] for one in samples),
        )

    def tls(self) -> dict[str, str]:
        """Return what our client and a server of our own agreed on, by version asked for."""
        found: dict[str, str] = self.lens.look(Question("instruments.tls", "loopback")).value
        return found

    def speaking_door(self) -> Door:
        """Return a port of the platform that answers its protocol through a tunnel.

        A product that listens on its pod's address only is reached by none: others are tried.
        """
        seen = []
        for door, protocol in islice(self._doors(), _TRIED):
            answer = self._tunnelled(door, door.port, GREETINGS[protocol])
            if not answer.error and Reply.of(protocol, answer.value).speaks:
                return door
            said = answer.reason or Reply.of(protocol, answer.value).outcome
            seen.append(f"{door.pod.ref}:{door.port}: {said}")
        told = "; ".join(seen) or "no declared port is ready"
        raise UndecidedError(f"no open port is reached by a tunnel, so none shows a thing: {told}")

    def tunnel_to_nothing(self, door: Door) -> str:
        """Return `closed`, or what a tunnel to a port without a listener claims instead.

        Raises:
            UndecidedError: where the tunnel failed for another reason.
        """
        answer = self._tunnelled(door, _CLOSED, b"hello?\n")
        detail = (answer.error or {}).get("detail") or {}
        if detail.get("closed") == _CLOSED:
            return "closed"
        return str(answer.value)

    def commands(self) -> tuple[str, int | None, int | None]:
        """Return a container, and the exit codes of `true` and `false` in it."""
        for pod in self._running()[:_TRIED]:
            container = next(one.name for one in pod.containers if one.role is Role.MAIN)
            code = self._run(pod, container, "true")
            if code == 0:
                return f"{pod.ref}/{container}", code, self._run(pod, container, "false")
        raise UndecidedError("no container of the platform can run `true`; none proves anything")

    def residue(self) -> tuple[str, ...]:
        """Return the API objects that an earlier run should have removed."""
        found = []
        for kind in ("namespaces", "pods", "services"):
            answer = self.lens.look(Question("kubernetes.list", kind, {"kind": kind}))
            for one in answer.value:
                if _ours(one) and _expiry(one) < answer.time:
                    place = one["metadata"].get("namespace", "")
                    found.append(f"{kind} {place}/{one['metadata']['name']}")
        return tuple(found)

    def names(self, service: str, name: str) -> Resolved:
        """Return what the cluster's DNS says of a name below the cluster's domain."""
        whole = f"{name}.{self.platform.cluster.domain}"
        arguments = {"service": service, "name": whole}
        value = self.lens.look(Question("instruments.names", f"{service}/{name}", arguments)).value
        addresses = tuple(value["addresses"])
        unknown = value["code"] == _NO_SUCH_NAME
        return Resolved(bool(addresses), unknown, addresses, value["route"])

    def dns(self) -> str:
        """Return the Service that answers the cluster's DNS."""
        found = [
            one
            for one in self.cluster.all("services")
            if labels(one).get("k8s-app") == "kube-dns"
            and _DNS in [port["port"] for port in one["spec"].get("ports") or ()]
        ]
        if not found:
            raise UndecidedError("no Service is labelled k8s-app=kube-dns: the DNS is not found")
        meta = found[0]["metadata"]
        return f"{meta['namespace']}/{meta['name']}"

    def missing(self, constitution: Constitution, allowed: frozenset[str]) -> dict[str, list[str]]:
        """Return the rights that the identity lacks, each with the controls that need it."""
        wanted: dict[tuple[str, Right, str, str], list[str]] = defaultdict(list)
        for one in constitution.tested:
            if one.status is not Status.ACTIVE or _idle(one.for_each, constitution.platform):
                continue
            if isinstance(one, Control) and not allowed & set(one.classes):
                continue
            for right in one.needs.rights:
                for verb in right.verbs:
                    for place in places(right, constitution):
                        for name in names(right, constitution, place):
                            wanted[verb, right, place, name].append(one.id)
        answers = self.lens.look_all(_may(*key) for key in wanted)
        return {
            answer.question.subject: controls
            for answer, controls in zip(answers, wanted.values(), strict=True)
            if not answer.value["allowed"]
        }

    def _doors(self) -> Iterator[tuple[Door, Protocol]]:
        """Yield ready ports of the platform that speak a protocol which the suite can begin."""
        for service in self.platform.services:
            for port in () if service.absent else service.ports:
                name = self.doors.offers(service, port)
                if port.protocol in GREETINGS and name is not None:
                    for door in self.doors.behind(service, name):
                        yield door, port.protocol

    def _running(self) -> list[Pod]:
        spaces = {one.name for one in self.platform.platform_namespaces}
        pods = (Pod(one) for one in self.cluster.all("pods"))
        return [one for one in pods if one.namespace in spaces and one.ready and not one.deleting]

    def _run(self, pod: Pod, container: str, command: str) -> int | None:
        arguments = {
            "namespace": pod.namespace,
            "pod": pod.name,
            "container": container,
            "command": [command],
        }
        asked = Question("streams.exec", f"{pod.ref}/{container}", arguments)
        code: int | None = self.lens.look(asked).value["code"]
        return code

    def _tunnelled(self, door: Door, port: int, sent: bytes) -> Answer:
        arguments = {
            "pod": door.target,
            "port": port,
            "sent": sent.hex(),
            "route": "port-forward",
        }
        return self.lens.look(Question("wire.say", f"{door.pod.ref}:{port}", arguments))


def _may(verb: str, right: Right, place: str, name: str) -> Question:
    if right.url:
        arguments: dict[str, Any] = {"path": right.url, "verb": verb}
        return Question("kubernetes.may_url", f"{verb} {right.url}", arguments)
    resource, _, part = right.resource.partition("/")
    named = ".".join(filter(None, (resource, right.group))) + (f"/{part}" if part else "")
    attributes = {
        "verb": verb,
        "group": right.group,
        "resource": resource,
        "subresource": part,
        "namespace": place,
        **({"name": name} if name else {}),
    }
    subject = f"{verb} {named}" + (f" {name}" if name else "") + (f" in {place}" if place else "")
    return Question("kubernetes.may", subject, {"attributes": attributes})


def _idle(for_each: str, platform: Platform) -> bool:
    """Say whether every case of a selector is declared absent."""
    return all(one.absent for one in SELECTORS[for_each].of(platform))


def _ours(item: Object) -> bool:
    meta = item["metadata"]
    named = str(meta["name"]).startswith(PREFIX) and not meta.get("ownerReferences")
    return RUN in labels(item) or (named and item.get("kind", "Pod") != "Namespace")


def _expiry(item: Object) -> datetime:
    meta = item["metadata"]
    said = moment((meta.get("annotations") or {}).get(EXPIRES))
    return said or (moment(meta.get("creationTimestamp")) or _NEVER) + _LIFE
