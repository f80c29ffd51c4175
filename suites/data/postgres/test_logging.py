"""What is done to the schema, and who connects, can be read afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.postgres_log import SETTINGS, logged, logging_of, mark
from conformance.verdict import Level

if TYPE_CHECKING:
    from conformance.postgres import Servers
    from conformance.postgres_log import Logging
    from conformance.postgres_roster import Member
    from conformance.products import Postgres
    from conformance.verdict import Verdict


@pytest.mark.control("PG-012")
def test_statements_reach_the_log(postgres: Postgres, servers: Servers, verdict: Verdict) -> None:
    """Every server logs schema changes and connections, and one just made stands in the log.

    Any replica may be the next primary, so all are asked; a role may have a setting
    of its own, so the application is asked too. A statement also stands in the log
    where it failed: only the line that logs it counts. With the collector on, the
    log is a file, which `kubectl logs` does not show.
    """
    roster = servers.roster()
    for member in roster.members:
        with verdict.about(member.ref, "logs statements and connections"):
            _judge(
                member.ref, logging_of(servers.ask(member, SETTINGS).results[0].table[0]), verdict
            )
    primary = roster.primary
    session = servers.ask(primary, SETTINGS, login=postgres.application)
    own = logging_of(session.results[0].table[0])
    _judge(f"{primary.ref} as {postgres.role}", own, verdict)
    if own.of_statements:
        _judge_log(primary, own, servers, verdict.at(Level.OBSERVED))


def _judge(subject: str, logging: Logging, verdict: Verdict) -> None:
    verdict.expect(
        logging.of_statements and logging.of_connections,
        subject=subject,
        claim="logs statements and connections",
        observed=logging.told,
        expected="log_statement ddl, mod or all; log_connections on",
        advice="set both in postgresql.conf and reload; see ALTER ROLE ... SET too",
    )


def _judge_log(primary: Member, logging: Logging, servers: Servers, verdict: Verdict) -> None:
    done = mark(servers, primary)
    if not verdict.given(
        "error" not in done["made"] and bool(done["removed"]),
        subject=primary.ref,
        claim="takes and drops a canary table",
        observed=done["made"].get("error") or f"removed: {done['removed']}",
        advice=f"CREATE SCHEMA {servers.declared.canary_schema}, granted to the application",
    ):
        return
    found, seen = logged(servers, primary, logging)
    claim = "shows the statement in its log"
    if found is None:
        verdict.not_measured(subject=primary.ref, claim=claim, reason=seen)
        return
    verdict.expect(
        found,
        subject=primary.ref,
        claim=claim,
        observed=seen,
        expected="LOG:  statement: CREATE TABLE ... within 30 s",
        advice="see log_destination, logging_collector and log_min_messages",
    )
