"""Another server takes over when the primary is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.disruption import forbidden
from conformance.postgres_failover import AGENTS, READINESS, controllers, drill
from conformance.verdict import Level
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from conformance.cluster import Cluster
    from conformance.postgres import Servers
    from conformance.products import Postgres
    from conformance.verdict import Verdict


@pytest.mark.control("PG-013")
def test_another_server_takes_over_from_a_lost_primary(
    postgres: Postgres,
    servers: Servers,
    cluster: Cluster,
    allowed: frozenset[str],
    verdict: Verdict,
) -> None:
    """A failover controller is alive, replicas can be read, and a lost primary is replaced.

    A StatefulSet that restarts the same primary is no failover, however fast. A
    controller counts by its signs of life, not by its name: the lock it renews, the
    sessions it keeps, the lease of its operator. The pod is deleted only in clusters
    that are marked as a lab.
    """
    roster = servers.roster()
    answering = [one for one in roster.members if one.session]
    agents = [servers.ask(one, AGENTS).results[0] for one in answering]
    found, hidden = controllers(servers.lens, servers.pods(), servers.workload, agents)
    told = "; ".join(one.told for one in found) or "no Patroni, repmgr, stolon or operator"
    works = any(one.works for one in found)
    if not works and (hidden or any(one.works is None for one in found)):
        reason = f"{told}; {hidden}" if hidden else told
        verdict.undecided(subject=postgres.ref, claim="has a failover controller", reason=reason)
    else:
        verdict.expect(
            works,
            subject=postgres.ref,
            claim="has a failover controller",
            observed=told,
            expected="one that gives signs of life",
            advice="run PostgreSQL under Patroni, repmgr or an operator, and not paused",
        )
    for member in roster.replicas:
        verdict.expect(
            member.facts[2] == "on",
            subject=member.ref,
            claim="can be read while it is a replica",
            observed=f"hot_standby = {member.facts[2]}",
            advice="set hot_standby = on",
        )
    for name, value in servers.ask(roster.primary, READINESS).results[0].table:
        verdict.advise(subject=roster.primary.ref, claim=f"has {name}", observed=value or "none")
    verdict.at(Level.OBSERVED)
    if reason := forbidden(allowed, cluster):
        verdict.not_measured(
            subject=postgres.ref, claim="fails over", reason=reason, needs="disruptive"
        )
        return
    _judge_drill(postgres, servers, verdict)


def _judge_drill(postgres: Postgres, servers: Servers, verdict: Verdict) -> None:
    seen = drill(servers)
    if not verdict.given(
        seen.started,
        subject=postgres.ref,
        claim="takes rows before the drill",
        observed=seen.refusal,
    ):
        return
    verdict.expect(
        seen.seconds is not None and seen.seconds <= LIMITS.failover,
        subject=postgres.ref,
        claim="has a new primary on a later timeline",
        observed=f"{seen.told}, after {seen.seconds} s; no write for {seen.pause} s",
        expected=f"within {LIMITS.failover:.0f} s",
        advice="see the controller's log, and its ttl and loop_wait",
    )
    if seen.lost is None:
        reason = "the rows could not be read back"
        verdict.undecided(subject=postgres.ref, claim="keeps every acknowledged row", reason=reason)
    else:
        verdict.expect(
            not seen.lost,
            subject=postgres.ref,
            claim="keeps every acknowledged row",
            observed=f"lost {len(seen.lost)}: {seen.lost}" if seen.lost else "none is lost",
            advice="replicate synchronously, or declare how much may be lost",
        )
    verdict.expect(
        seen.whole,
        subject=postgres.ref,
        claim="is whole again",
        observed="all servers answer" if seen.whole else "servers are missing after a minute",
        advice="see the log of the pod that was deleted",
    )
