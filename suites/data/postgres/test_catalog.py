"""The catalog is there in its declared shape, and its audit log only grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.postgres_catalog import (
    changes,
    inventory,
    marked_insert,
    misshapen,
    powers,
    refused,
    unindexed,
    usable,
)
from conformance.verdict import Level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.postgres import Servers
    from conformance.postgres_session import Result
    from conformance.products import Postgres
    from conformance.verdict import Verdict

_SCHEMA = "run the declared init-catalog.sql, or the migration that is missing"
_GRANTS = "let another role own the table; grant the application SELECT and INSERT, nothing else"


@pytest.mark.control("PG-010")
def test_the_catalog_has_its_declared_shape(
    postgres: Postgres, servers: Servers, verdict: Verdict
) -> None:
    """Schemas, usable extensions, and the audit table with its columns, key and indexes are there.

    An extension can be listed and not work (its library is not loaded), so one
    statement of each is run. A declared index counts under any name, a further
    column is no difference. The application must be able to use the schemas.
    """
    primary, table = servers.roster().primary, postgres.audit
    statements = inventory(postgres)
    session = servers.ask(primary, *statements.values())
    found = dict(zip(statements, session.results, strict=True))
    rows = servers.ask(primary, usable(postgres), login=postgres.application).results[0].table

    def judge(subject: str, claim: str, lacking: Iterable[str]) -> None:
        wrong = ", ".join(lacking)
        verdict.expect(
            not wrong, subject=subject, claim=claim, observed=wrong or "it does", advice=_SCHEMA
        )

    present = {row[0] for row in found["schemas"].table}
    judge(postgres.database, "has its schemas", (s for s in postgres.schemas if s not in present))
    closed = [str(row[0]) for row in rows if row[1] is not True]
    verdict.expect(
        not closed,
        subject=postgres.database,
        claim="lets the application use its schemas",
        observed=f"no USAGE on {', '.join(closed)}" if closed else f"{len(rows)} of them",
        advice=f"GRANT USAGE ON SCHEMA ... TO {postgres.role}",
    )
    made = {row[0] for row in found["extensions"].table}
    for name in postgres.extensions:
        _judge_extension(name, name in made, found.get(f"use of {name}"), verdict)
    if verdict.expect(
        [row[0] for row in found["table"].table] in (["r"], ["p"]),
        subject=table.name,
        claim="is a table",
        observed=f"relkind {[row[0] for row in found['table'].table]}",
        expected="an ordinary or a partitioned table",
        advice=_SCHEMA,
    ):
        judge(table.name, "has its columns", misshapen(table, found["columns"].table))
        key = tuple(row[0] for row in found["key"].table)
        judge(table.name, "has its primary key", [] if key == table.primary_key else [f"{key}"])
        judge(table.name, "has its indexes", unindexed(table, found["indexes"].table))


def _judge_extension(name: str, made: bool, use: Result | None, verdict: Verdict) -> None:  # noqa: FBT001
    worked = use is None or use.error is None
    verdict.expect(
        made and worked,
        subject=f"extension {name}",
        claim="can be used",
        observed="not created" if not made else use.told if use and not worked else "it works",
        advice=f'CREATE EXTENSION "{name}", and see shared_preload_libraries',
    )


@pytest.mark.control("PG-011")
def test_the_audit_log_only_grows(postgres: Postgres, servers: Servers, verdict: Verdict) -> None:
    """The role that applications use can add a row, and cannot change, delete or hide one.

    Everything happens in one transaction that is never committed. Row triggers do
    not fire on no rows, so the attempts are made on a row that was just added; they
    do not stop TRUNCATE, so that is an attempt of its own. A role can also become
    another, so the roles behind it are looked at too.
    """
    primary, table = servers.roster().primary, postgres.audit
    app, ways = postgres.application, changes(table)
    wrote, *answers = servers.ask(
        primary, marked_insert(table), *ways.values(), login=app, mode="rolled-back"
    ).results
    if not verdict.given(
        wrote.error is None and wrote.count == 1,
        subject=table.name,
        claim="takes a row from the application",
        observed=wrote.told,
        advice="see PG-010",
    ):
        return
    for way, answer in zip(ways, answers, strict=True):
        kept = refused(answer)
        if kept is None:
            verdict.undecided(
                subject=table.name, claim=f"does not let the application {way}", reason=answer.told
            )
            continue
        verdict.expect(
            kept,
            subject=table.name,
            claim=f"does not let the application {way}",
            observed=answer.told,
            expected="no privilege, or a trigger's refusal",
            advice=_GRANTS,
        )
    rows = servers.ask(primary, powers(table), login=app).results[0].table
    superuser, owner, changers = rows[0]
    verdict.at(Level.EFFECTIVE).expect(
        superuser is False and owner is False,
        subject=table.name,
        claim="belongs to nobody whom the application is or can become",
        observed=f"superuser: {superuser}, owner of table or schema: {owner}",
        advice=_GRANTS,
    )
    by_privilege = any(one.sqlstate == "42501" and not one.raised for one in answers[:3])
    verdict.given(
        not (changers and by_privilege),
        subject=table.name,
        claim="cannot be changed by a role that the application can act as",
        observed=f"{changers} may change it, and no trigger was seen to stop that",
        advice=_GRANTS,
    )
