"""Whether the ports of Services answer what they are declared to speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.wire import SILENT

if TYPE_CHECKING:
    from conformance.doors import Door, Doors
    from conformance.platform import Port, Service
    from conformance.verdict import Verdict
    from conformance.wire import Reply, Wire

_CLAIM = "answers its own protocol"


@pytest.mark.control("PLT-SVC-001")
def test_a_service_port_answers_its_own_protocol(
    service_port: tuple[Service, Port], doors: Doors, wire: Wire, verdict: Verdict
) -> None:
    """A client of the pod network gets the protocol's own answer, and each ready pod gives it.

    A connection shows nothing: proxies accept every one. So the client speaks first
    and must get what only such a server says. Where a mesh or a policy decides who
    may come, only a client that they name could tell, and the runner is none.
    """
    service, port = service_port
    subject = f"{service.ref}:{port.port}"
    name = doors.offers(service, port)
    if service.pending and name is None:
        verdict.undecided(subject=subject, claim=_CLAIM, reason=f"not there yet: {service.pending}")
        return
    if not verdict.expect(
        name is not None,
        subject=subject,
        claim="is a port of the Service",
        observed="declared, but not in the Service"
        if name is None
        else f"port {name or port.port}",
        advice="add the port to the Service, or correct the platform section",
    ):
        return
    if port.protocol in SILENT:
        verdict.not_measured(
            subject=subject, claim=_CLAIM, reason=f"{port.protocol}: {SILENT[port.protocol]}"
        )
        return
    behind = doors.behind(service, name or "")
    if not behind:
        verdict.undecided(
            subject=subject,
            claim=_CLAIM,
            reason="no ready pod stands behind the port",
            blocked_by="PLT-WL-005",
        )
        return
    if not service.headless:
        with verdict.about(subject, _CLAIM):
            reply = wire.through(service.ref, port.port, port.protocol)
            _judge(subject, reply, doors.guarded(behind), verdict)
    for door in behind:
        _each(service, port, door, wire, doors.guarded((door,)), verdict)


def _each(
    service: Service, port: Port, door: Door, wire: Wire, guarded: str, verdict: Verdict
) -> None:
    """Ask one pod: behind a headless Service at the Service's own port, which nobody translates."""
    number = port.port if service.headless else door.port
    subject = f"{door.pod.ref}:{number} behind {service.name}"
    with verdict.about(subject, _CLAIM):
        _judge(subject, wire.at(door.target, number, port.protocol), guarded, verdict)


def _judge(subject: str, reply: Reply, guarded: str, verdict: Verdict) -> None:
    if guarded or not reply.crosses:
        why = (
            f"{guarded} decides who may come, and the runner is no client of the platform"
            if guarded
            else f"by {reply.route} nothing on the way to a client is crossed"
        )
        verdict.undecided(subject=subject, claim=_CLAIM, reason=f"{reply.outcome}; but {why}")
        return
    verdict.expect(
        reply.speaks,
        subject=subject,
        claim=_CLAIM,
        observed=reply.outcome,
        expected=f"the first answer of {reply.protocol}",
        advice="compare the Service's targetPort with where the product listens, and ask its log",
    )
