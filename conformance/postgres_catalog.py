"""What stands in the database: schemas, extensions, and the audit table's shape and locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.postgres_session import Result, Row
    from conformance.products import Column, Postgres, Table

MARK = "aik_conformance"
_SAMPLES = {
    "bigint": "0",
    "boolean": "false",
    "date": "current_date",
    "inet": "'127.0.0.1'",
    "integer": "0",
    "jsonb": "'{}'",
    "timestamp with time zone": "now()",
    "uuid": "'00000000-0000-4000-8000-000000000000'",
}
_USES = {  # one statement that works only where the extension does
    "uuid-ossp": "SELECT uuid_generate_v4()",
    "pg_trgm": "SELECT similarity('a', 'b')",
    "pg_stat_statements": "SELECT 1 FROM pg_stat_statements LIMIT 1",
}
_NOW = {"now()", "CURRENT_TIMESTAMP", "transaction_timestamp()"}
_REFUSALS = {"42501", "P0001"}  # no privilege; an exception that a trigger raised


def empty_insert(table: Table) -> str:
    """Return an INSERT that writes no row, burns no number and needs only the right to insert."""
    names, values = _sample(table)
    return f"INSERT INTO {table.name} ({names}) SELECT {values} WHERE false"


def marked_insert(table: Table) -> str:
    """Return an INSERT of one canary row, as an application would write one."""
    names, values = _sample(table)
    return f"INSERT INTO {table.name} ({names}) VALUES ({values})"  # noqa: S608 - declared names


def _sample(table: Table) -> tuple[str, str]:
    wanted = [one for one in table.columns if one.not_null and not one.default]
    names = ", ".join(f'"{one.name}"' for one in wanted)
    return names, ", ".join(_SAMPLES.get(one.type, f"'{MARK}'") for one in wanted)


def changes(table: Table) -> dict[str, str]:
    """Return the ways to change what `marked_insert` wrote, by what they would do."""
    column = next(one for one in table.columns if one.not_null and not one.default)
    sample = _SAMPLES.get(column.type, f"'{MARK}'")
    where = f'WHERE "{column.name}" = {sample}'
    return {
        "change its own row": f'UPDATE {table.name} SET "{column.name}" = {sample} {where}',  # noqa: S608
        "delete its own row": f"DELETE FROM {table.name} {where}",  # noqa: S608
        "empty the table": f"TRUNCATE {table.name}",
        "switch its triggers off": f"ALTER TABLE {table.name} DISABLE TRIGGER USER",
        "pass its triggers by": "SET session_replication_role = replica",
        "drop the table": f"DROP TABLE {table.name}",
    }


def refused(result: Result) -> bool | None:
    """Say whether a change was refused; None where the answer says something else.

    A statement that ran and touched no row, although there was one, was refused in
    silence: a row trigger or a rule took it away.
    """
    if result.error is None:
        return result.command in {"UPDATE", "DELETE"} and result.count == 0
    return True if result.raised or result.sqlstate in _REFUSALS else None


def powers(table: Table) -> str:
    """Return a statement: may the role get at the rows other than by adding some?

    One row: superuser; owner of the table or of its schema, or able to become it; the
    roles it can act as (itself included) that may change or empty the table.
    """
    return f"""
SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       pg_has_role(c.relowner, 'MEMBER') OR pg_has_role(n.nspowner, 'MEMBER'),
       array_to_string(ARRAY(
           SELECT rolname::text FROM pg_roles r
           WHERE pg_has_role(current_user, r.oid, 'MEMBER')
             AND (has_table_privilege(r.oid, c.oid, 'DELETE, TRUNCATE')
                  OR has_any_column_privilege(r.oid, c.oid, 'UPDATE'))), ', ')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass('{table.name}')"""  # noqa: S608 - declared name


def inventory(declared: Postgres) -> dict[str, str]:
    """Return the statements that show what the database holds, by what they show."""
    table = f"to_regclass('{declared.audit.name}')"
    return {
        "schemas": "SELECT nspname FROM pg_namespace",
        "extensions": "SELECT extname FROM pg_extension",
        "table": f"SELECT relkind::text FROM pg_class WHERE oid = {table}",  # noqa: S608
        "columns": "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "  # noqa: S608
        "pg_get_expr(d.adbin, d.adrelid), a.attidentity::text FROM pg_attribute a "
        "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        f"WHERE a.attrelid = {table} AND a.attnum > 0 AND NOT a.attisdropped",
        "key": "SELECT a.attname FROM pg_constraint c "  # noqa: S608
        "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) "
        f"WHERE c.contype = 'p' AND c.conrelid = {table} ORDER BY a.attnum",
        "indexes": "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) "  # noqa: S608
        f"FROM pg_index i WHERE i.indrelid = {table} AND i.indisvalid",
        # extensions may stand in a schema of their own
        "path": "SELECT set_config('search_path', string_agg(DISTINCT quote_ident(nspname), ', '), "
        "false) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace",
        **{f"use of {one}": _USES[one] for one in declared.extensions if one in _USES},
    }


def usable(declared: Postgres) -> str:
    """Return a statement: which declared schemas the role may use, one row each."""
    names = ", ".join(f"'{one}'" for one in declared.schemas)
    return (
        "SELECT nspname, has_schema_privilege(oid, 'USAGE') FROM pg_namespace "  # noqa: S608
        f"WHERE nspname IN ({names})"
    )


def misshapen(table: Table, columns: tuple[Row, ...]) -> Iterator[str]:
    """Yield what differs from the declared columns; a column more is no difference."""
    found = {row[0]: row for row in columns}
    for one in table.columns:
        if one.name not in found:
            yield f"{one.name} is missing"
            continue
        _, kind, not_null, default, identity = found[one.name]
        if kind != one.type:
            yield f"{one.name} is {kind}, not {one.type}"
        if one.not_null and not not_null:
            yield f"{one.name} may be null"
        if one.default and not _defaults(one, default or "", identity):
            yield f"{one.name} has the default {default}, not {one.default}"


def _defaults(column: Column, default: str, identity: str) -> bool:
    wanted = column.default or ""
    if wanted.startswith("nextval") and identity:
        return True
    return wanted in default or (wanted in _NOW and default in _NOW)


def unindexed(table: Table, indexes: tuple[Row, ...]) -> Iterator[str]:
    """Yield the declared indexes that no valid index covers, whatever it is called."""
    whole = [" ".join(str(row[1]).split()) for row in indexes if " WHERE " not in str(row[1])]
    for name, fragment in table.indexes.items():
        if not any(fragment in definition for definition in whole):
            yield f"{name} {fragment}"
