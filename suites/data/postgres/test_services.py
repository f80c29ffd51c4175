"""Services send clients to the role that their name promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.postgres_access import arrivals

if TYPE_CHECKING:
    from conformance.postgres import Servers
    from conformance.postgres_roster import Member
    from conformance.products import Postgres
    from conformance.verdict import Verdict

_ADVICE = "see the Service's selector, and who labels the pods (the failover controller must)"


@pytest.mark.control("PG-007")
def test_role_services_lead_to_the_right_role(
    postgres: Postgres, servers: Servers, verdict: Verdict
) -> None:
    """Fresh connections to the primary's Service find it alone, to the replicas' each of them.

    Many connections are made, since a balancer may well send a few to the right
    place. Servers are told apart by when they started: what a proxy shows as their
    address need not be one.
    """
    roster = servers.roster()
    for member in roster.of("silent"):
        verdict.undecided(subject=member.ref, claim="is reached", reason=member.reason)
    for service, members in (
        (postgres.primary_service, (roster.primary,)),
        (postgres.replica_service, roster.replicas),
    ):
        with verdict.about(f"{servers.namespace}/{service}"):
            _judge(service, members, servers, verdict)


def _judge(service: str, members: tuple[Member, ...], servers: Servers, verdict: Verdict) -> None:
    subject, role = f"{servers.namespace}/{service}", members[0].role
    behind = servers.behind(service)
    if not verdict.expect(
        bool(behind),
        subject=subject,
        claim="has a ready endpoint",
        observed=", ".join(behind) or "none",
        advice=_ADVICE,
    ):
        return
    found = arrivals(servers, service)
    verdict.expect(
        not found.strangers(role),
        subject=subject,
        claim=f"leads to a {role} every time",
        observed=found.told,
        expected=f"a {role} of {servers.declared.ref}, {found.times} times of {found.times}",
        advice=_ADVICE,
    )
    for member in members:
        seen = found.reached(member)
        if not seen and (member.ref in behind or not member.ready):
            reason = "it is an endpoint, and no connection came to it"
            reason = reason if member.ready else "the pod is not Ready; blocked by PLT-WL-002"
            verdict.undecided(subject=subject, claim=f"leads to {member.ref}", reason=reason)
            continue
        verdict.expect(
            seen,
            subject=subject,
            claim=f"leads to {member.ref}",
            observed=found.told,
            expected="at least one connection",
            advice=_ADVICE,
        )
