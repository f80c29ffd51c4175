"""One primary, and replicas that only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.postgres_catalog import empty_insert

if TYPE_CHECKING:
    from conformance.postgres import Servers
    from conformance.products import Postgres
    from conformance.verdict import Verdict

_READ_ONLY = "25006"  # read_only_sql_transaction


@pytest.mark.control("PG-002")
def test_exactly_one_server_is_the_primary(
    postgres: Postgres, servers: Servers, verdict: Verdict
) -> None:
    """Asked one by one, one server is the primary and the others are copies of it.

    Through a Service one would hear the same server again and again. Two databases
    that know nothing of each other would each have a primary: the system identifier,
    made when a cluster is born, tells them apart. Roles that change hands are given
    a minute.
    """
    roster = servers.roster()
    silent, primaries = roster.of("silent"), roster.of("primary")
    for member in silent:
        verdict.undecided(subject=member.ref, claim="says its role", reason=member.reason)
    if not silent or len(primaries) > 1:
        verdict.expect(
            len(primaries) == 1,
            subject=postgres.ref,
            claim="has exactly one primary",
            observed=roster.told,
            expected="one primary, replicas besides",
            advice="find out which server the clients write to, fence the others, clone them anew",
        )
    born = sorted({str(one.facts[0]) for one in roster.members if one.session})
    if born:
        verdict.expect(
            len(born) == 1,
            subject=postgres.ref,
            claim="is one database on all its servers",
            observed=f"system identifiers: {', '.join(born)}",
            expected="one system identifier",
            advice="clone the replicas from the primary: some of these never were its copies",
        )


@pytest.mark.control("PG-006")
def test_replicas_refuse_writes(postgres: Postgres, servers: Servers, verdict: Verdict) -> None:
    """A write that the primary takes is refused by every other server, because it is a replica.

    The statement inserts no row, and its transaction is never committed. A missing
    privilege, or a primary that was set to read only, would refuse it as well: only
    SQLSTATE 25006 of a server in recovery counts, and only once another took it.
    """
    write = empty_insert(postgres.audit)
    answers = []
    for member in servers.roster().members:
        with verdict.about(member.ref):
            session = servers.ask(member, write, login=postgres.application, mode="rolled-back")
            answers.append((member, session.results[0], bool(session.in_recovery)))
    takers = [member for member, result, _ in answers if result.error is None]
    if not verdict.given(
        bool(takers),
        subject=postgres.ref,
        claim="takes the write on its primary",
        observed="; ".join(f"{member.ref}: {result.told}" for member, result, _ in answers),
        advice="see PG-002 for the primary, PG-010 for the table and its grants",
    ):
        return
    others = [one for one in answers if one[0] is not takers[0]]
    if not others:
        reason = f"no replica answers ({servers.roster().told}); blocked by PG-002"
        verdict.undecided(subject=postgres.ref, claim="has replicas that answer", reason=reason)
    for member, result, in_recovery in others:
        if result.error and (result.sqlstate != _READ_ONLY or not in_recovery):
            reason = f"{result.told}; in recovery: {in_recovery}"
            verdict.undecided(
                subject=member.ref, claim="refuses writes as a replica", reason=reason
            )
            continue
        verdict.expect(
            result.error is not None,
            subject=member.ref,
            claim="refuses writes as a replica",
            observed=f"{result.told}, as did {takers[0].ref}" if not result.error else result.told,
            expected=f"SQLSTATE {_READ_ONLY}",
            advice="fence this server and clone it anew from the primary",
        )
