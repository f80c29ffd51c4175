"""PostgreSQL's words decoded: settings, rules, samples, refusals, signs of life."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.evidence import Answer, Question
from conformance.postgres_access import turned_away
from conformance.postgres_catalog import changes, empty_insert, marked_insert, misshapen, refused
from conformance.postgres_failover import drill_of
from conformance.postgres_log import Logging
from conformance.postgres_replication import percentile
from conformance.postgres_rules import Rule
from conformance.postgres_session import Result, Target, session_of
from conformance.postgres_settings import Setting, differences, parsed
from conformance.products import Column, Table
from conformance.verdict import UndecidedError

TABLE = Table(
    "audit.log",
    (
        Column("id", "bigint", not_null=True, default="nextval("),
        Column("what", "character varying(50)", not_null=True),
        Column("at", "timestamp with time zone", not_null=True, default="now()"),
        Column("count", "integer", not_null=True),
    ),
    ("id",),
    {},
)


def test_a_configuration_file_reads_as_the_server_reads_it() -> None:
    text = (
        "# comment\n\nwork_mem = 4MB\nWork_Mem 8MB # later wins\nname='it''s \\' so' # quoted\n"
        "log_connections=on#no space\ninclude 'other.conf'\npg_stat_statements.track = all\n"
    )
    assert parsed(text) == {
        "work_mem": "8MB",
        "name": "it's ' so",
        "log_connections": "on",
        "pg_stat_statements.track": "all",
    }


def test_a_line_that_is_no_setting_is_undecided() -> None:
    with pytest.raises(UndecidedError, match="line 2"):
        parsed("a = 1\nneither this nor that\n")


@pytest.mark.parametrize(
    ("value", "unit", "kind", "wanted", "same"),
    [
        ("16384", "kB", "integer", "16MB", True),
        ("65536", "8kB", "integer", "512MB", True),
        ("65536", "8kB", "integer", "65536", True),
        ("65536", "8kB", "integer", "512kB", False),
        ("1000", "ms", "integer", "1s", True),
        ("1000", "ms", "integer", "1min", False),
        ("1440", "min", "integer", "1d", True),
        ("300", "s", "integer", "5min", True),
        ("-1", "ms", "integer", "-1", True),
        ("0600", None, "integer", "0600", True),
        ("0.9", None, "real", ".90", True),
        ("0.9", None, "real", "0.8", False),
        ("2", "ms", "real", "2000us", True),
        ("on", None, "bool", "TRUE", True),
        ("on", None, "bool", "off", False),
        ("replica", None, "enum", "Replica", True),
        ("on", None, "enum", "yes", True),
        ("ddl", None, "enum", "all", False),
        ("16384", "kB", "integer", "16 MB", True),
        ("16384", "kB", "integer", "16mb", False),  # units are case-sensitive
        ("16384", "kB", "integer", "plenty", False),
        ("UTC", None, "string", "UTC", True),
    ],
)
def test_values_are_compared_by_meaning(
    value: str, unit: str | None, kind: str, wanted: str, *, same: bool
) -> None:
    setting = Setting("any", value, unit, kind, "configuration file", "/etc/p.conf", pending=False)
    assert setting.equals(wanted) is same


def test_lists_of_libraries_are_lists() -> None:
    setting = Setting(
        "shared_preload_libraries", "a, b", None, "string", "file", "f", pending=False
    )
    assert setting.equals('a,"b"')
    assert not setting.equals("a")


def test_differences_name_what_is_unknown_other_or_pending() -> None:
    found = {
        "a": Setting("a", "1", None, "integer", "command line", None, pending=False),
        "b": Setting("b", "2", None, "integer", "configuration file", "f", pending=True),
        "c": Setting("c", "3", None, "integer", "configuration file", "f", pending=False),
    }
    wrong = dict(differences({"a": "1", "b": "2", "c": "4", "d": "5"}, found))
    assert set(wrong) == {"b", "c", "d"}


@pytest.mark.parametrize(
    ("address", "mask", "method", "alone", "behind_a_proxy"),
    [
        ("127.0.0.1", "255.255.255.255", "trust", False, False),
        ("127.0.0.0", "255.0.0.0", "trust", False, True),
        ("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "trust", False, False),
        ("::", "::", "trust", True, True),
        ("10.0.0.0", "255.0.0.0", "trust", True, True),
        ("10.0.0.0", "255.0.0.0", "md5", True, True),
        ("10.0.0.0", "255.0.0.0", "scram-sha-256", False, False),
        ("10.0.0.0", "255.0.0.0", "reject", False, False),
        ("all", None, "password", True, True),
        ("samenet", None, "trust", True, True),
        ("samehost", None, "trust", False, False),
        ("example.com", None, "ident", True, True),
    ],
)
def test_rules_that_take_the_network_at_its_word(
    address: str, mask: str | None, method: str, *, alone: bool, behind_a_proxy: bool
) -> None:
    rule = Rule(1, "host", "all", "all", address, mask, method, None)
    assert rule.weak(proxied=False) is alone
    assert rule.weak(proxied=True) is behind_a_proxy


def test_a_rule_for_the_socket_is_not_for_the_network() -> None:
    assert not Rule(1, "local", "all", "all", None, None, "trust", None).weak(proxied=True)


def test_percentiles_count_the_late_ones() -> None:
    assert percentile((0.1,) * 19 + (None,), 0.95) == 0.1
    assert percentile((0.1,) * 18 + (None,) * 2, 0.95) is None
    assert percentile(tuple(n / 10 for n in range(1, 21)), 0.95) == 1.9
    with pytest.raises(UndecidedError):
        percentile((), 0.95)


def test_statements_on_the_audit_table_name_what_has_no_default() -> None:
    assert marked_insert(TABLE) == (
        'INSERT INTO audit.log ("what", "count") VALUES (\'aik_conformance\', 0)'
    )
    assert empty_insert(TABLE).endswith("SELECT 'aik_conformance', 0 WHERE false")
    assert "WHERE \"what\" = 'aik_conformance'" in changes(TABLE)["delete its own row"]


def error(code: str, context: str | None = None) -> Result:
    said = {"sqlstate": code, "severity": "ERROR", "message": "no", "context": context}
    return Result("UPDATE", error=said)


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        (error("42501"), True),
        (error("P0001"), True),
        (error("23514", "PL/pgSQL function f() line 3 at RAISE"), True),
        (error("55P03"), None),
        (error("42P01"), None),
        (Result("UPDATE", command="UPDATE", count=1), False),
        (Result("UPDATE", command="UPDATE", count=0), True),
        (Result("TRUNCATE", command="TRUNCATE TABLE"), False),
        (Result("SET", command="SET"), False),
    ],
)
def test_refusals_of_changes(result: Result, *, answer: bool | None) -> None:
    assert refused(result) is answer


def test_an_identity_column_counts_for_a_sequence() -> None:
    rows = (
        ["id", "bigint", True, None, "a"],
        ["what", "character varying(50)", True, None, ""],
        ["at", "timestamp with time zone", True, "CURRENT_TIMESTAMP", ""],
        ["count", "bigint", False, None, ""],
    )
    assert list(misshapen(TABLE, rows)) == ["count is bigint, not integer", "count may be null"]


def logged_in(**refused: str | None) -> Answer:
    question = Question("postgres.session", "p", {"statements": ["SELECT 1"]})
    server = {"in_recovery": True, "started": 1}
    row = {"rows": [[1]], "command": "SELECT", "count": 1}
    value: dict[str, Any] = {"route": "pod-network", "asked": "md5", "refused": refused or None}
    value["server"], value["results"] = (None, []) if refused else (server, [row])
    return Answer(question, "2026-01-01T00:00:00+00:00", "path", value)


@pytest.mark.parametrize(
    ("sqlstate", "message", "away"),
    [
        ("28P01", "password authentication failed", True),
        ("28000", "no pg_hba.conf entry", True),
        (None, "a password is asked for", True),
        (None, "password authentication failed for user", True),
        (None, "the server closed the connection", None),
        ("53300", "too many clients", None),
        ("3D000", "no such database", None),
    ],
)
def test_only_the_servers_own_no_turns_a_client_away(
    sqlstate: str | None, message: str, *, away: bool | None
) -> None:
    answer = logged_in(sqlstate=sqlstate, message=message)
    assert turned_away(session_of(Target("p", {}), answer)) is away


def test_a_login_that_is_taken_turns_nobody_away() -> None:
    assert turned_away(session_of(Target("p", {}), logged_in())) is False


def test_a_session_whose_results_are_cut_is_no_session() -> None:
    answer = logged_in()
    answer.content["results"] = []
    with pytest.raises(ValueError, match="shorter"):
        session_of(Target("p", {}), answer)


def test_a_restarted_primary_is_no_failover() -> None:
    value = {
        "deleted": 4.0,
        "whole": 9.0,
        "acknowledged": [1, 2],
        "present": [1],
        "writes": [[1, "a", True], [7, "a", True]],
        "roles": [[0, {"a": [False, 3, "1"]}], [7, {"a": [False, 3, "2"]}]],
    }
    seen = drill_of(value)
    assert (seen.seconds, seen.pause, seen.lost) == (None, 6.0, (2,))


@pytest.mark.parametrize(
    ("language", "readable"),
    [("C", True), ("en_US.UTF-8", True), ("", True), ("de_DE.UTF-8", False), ("C.UTF-8", True)],
)
def test_languages_of_logs(language: str, *, readable: bool) -> None:
    logging = Logging("ddl", "on", collected=False, destination="stderr", language=language)
    assert logging.readable is readable
