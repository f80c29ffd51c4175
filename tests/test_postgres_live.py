"""The probes against a real PostgreSQL, where its programs are installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.evidence import LookError
from conformance.live import postgres, postgres_canary
from conformance.live.postgres_link import Link
from conformance.live.reach import Reach
from conformance.platform import Credential
from tests.reaching import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin")) or [
    Path(one).parent for one in [shutil.which("initdb")] if one
]
_USER = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
pytestmark = pytest.mark.skipif(not _FOUND, reason="PostgreSQL is not installed (apt: postgresql)")
_POD = {"pod": {"namespace": "d", "name": "p", "ip": "127.0.0.1"}}
_SETUP = """
CREATE ROLE app LOGIN PASSWORD 'right-Password';
CREATE DATABASE shop OWNER postgres;
\\connect shop
CREATE SCHEMA canaries;
GRANT USAGE, CREATE ON SCHEMA canaries TO app;
CREATE TABLE kept (n int);
GRANT SELECT, INSERT ON kept TO app;
"""


def run(*command: str, text: str | None = None) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, input=text, user=_USER)


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as place:
        if _USER:
            shutil.chown(place, _USER)
        tools, data = _FOUND[-1], f"{place}/data"
        run(str(tools / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8")
        Path(data, "pg_hba.conf").write_text(
            "local all all trust\nhost shop postgres all trust\nhost all all all scram-sha-256\n"
        )
        settings = f"-p {port} -k {place} -c fsync=off -c listen_addresses=127.0.0.1"
        control = (str(tools / "pg_ctl"), "-D", data, "-w")
        run(*control, "-o", settings, "-l", f"{place}/log", "start")
        try:
            psql = (str(tools / "psql"), "-h", place, "-p", str(port), "-U", "postgres", "-qX")
            run(*psql, text=_SETUP)
            yield port
        finally:
            run(*control, "-m", "immediate", "stop")


@pytest.fixture
def reach(server: int, monkeypatch: pytest.MonkeyPatch) -> Reach:
    monkeypatch.setenv("CONFORMANCE_APP_USER", "app")
    monkeypatch.setenv("CONFORMANCE_APP_PASSWORD", "right-Password")
    monkeypatch.setenv("CONFORMANCE_ROOT_USER", "postgres")
    monkeypatch.setenv("CONFORMANCE_ROOT_PASSWORD", "any-Password")
    monkeypatch.setenv("PGPASSWORD", "right-Password")  # must not help who has no password
    keys = {"user": "user", "password": "password"}
    logins = (Credential("app", keys), Credential("root", keys))
    platform = replace(PLATFORM, credentials=logins, addresses={"d/p:5432": f"127.0.0.1:{server}"})
    allowed = frozenset({"read-only", "canary"})
    return Reach(platform, None, None, "pod-network", "20260101T000000.5Z", allowed)


def session(reach: Reach, *statements: str, login: str = "app", **more: str) -> dict[str, Any]:
    return postgres.session(reach, _POD, 5432, login, "shop", list(statements), **more)


def test_results_are_json(reach: Reach) -> None:
    told = session(reach, "SELECT 1, true, NULL, 'ü', '{\"a\": 1}'::json", "SELECT 1/0")
    assert told["asked"] == "scram-sha-256"
    assert told["server"]["in_recovery"] is False
    assert told["results"][0]["rows"] == [[1, True, None, "ü", {"a": 1}]]
    assert told["results"][1]["error"]["sqlstate"] == "22012"


def test_a_read_only_session_cannot_write(reach: Reach) -> None:
    told = session(reach, "INSERT INTO kept VALUES (1)")
    assert told["results"][0]["error"]["sqlstate"] == "25006"


def test_what_is_rolled_back_leaves_nothing_and_each_attempt_meets_the_first_state(
    reach: Reach,
) -> None:
    told = session(
        reach,
        "INSERT INTO kept VALUES (1)",
        "UPDATE kept SET n = 2",
        "INSERT INTO kept VALUES (3)",
        "SELECT n FROM kept",
        mode="rolled-back",
    )
    assert [one.get("count") for one in told["results"]] == [1, None, 1, 1]
    assert told["results"][3]["rows"] == [[1]]
    assert session(reach, "SELECT n FROM kept")["results"][0]["rows"] == []


@pytest.mark.parametrize(
    ("proof", "sqlstate", "words"),
    [
        ("wrong", "28P01", "password authentication failed"),
        ("stranger", "28P01", "password authentication failed"),
        ("none", None, "a password is asked for"),
    ],
)
def test_refusals_are_the_servers_own(
    reach: Reach, proof: str, sqlstate: str | None, words: str
) -> None:
    told = session(reach, proof=proof)
    assert told["refused"]["sqlstate"] == sqlstate
    assert words in told["refused"]["message"]


def test_trust_is_seen_as_nothing_asked(reach: Reach) -> None:
    told = session(reach, login="root", proof="wrong")
    assert told["refused"] is None
    assert told["asked"] == "nothing"


def test_a_canary_is_followed_and_removed_and_old_ones_with_it(reach: Reach) -> None:
    names = [f"aik_conformance_{int(time.time()) - age}_x" for age in (7200, 60)]
    names.append("aik_conformance_keep")
    made = [f'CREATE TABLE canaries."{name}" ()' for name in names]
    session(reach, *made, mode="committed")
    told = postgres_canary.follow(
        reach,
        writer=_POD,
        readers={"d/p": _POD},
        port=5432,
        login="app",
        database="shop",
        schema="canaries",
        limit=2.0,
    )
    reader = told["readers"]["d/p"]
    assert reader["value"] == told["value"]
    assert reader["seconds"] <= 2
    assert reader["gone"] <= 2
    assert told["removed"] is True
    left = session(reach, "SELECT relname FROM pg_class WHERE relname LIKE 'aik_conf%' ORDER BY 1")
    assert [row[0] for row in left["results"][0]["rows"]] == sorted(names[1:])


def test_a_canary_that_is_refused_is_a_value(reach: Reach) -> None:
    told = postgres_canary.mark(
        reach, target=_POD, port=5432, login="app", database="shop", schema="public", note="x"
    )
    assert told["made"]["error"]["sqlstate"] == "42501"


def test_a_reader_that_never_sees_is_asked_at_a_walking_pace(
    server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"host": "127.0.0.1", "port": str(server), "user": "postgres", "dbname": "shop"}
    asked: list[str] = []
    run = Link.run

    def counted(link: Link, sql: str) -> dict[str, Any]:
        asked.append(sql)
        return run(link, sql)

    monkeypatch.setattr(Link, "run", counted)
    with Link(settings, 10.0) as link:
        seen = postgres_canary.awaited({"x": link}, "SELECT a FROM nowhere", bool, 0.5)
    assert seen["x"] == (None, None, "")
    assert len(asked) < 40


def test_writing_needs_its_class(reach: Reach) -> None:
    reach.allowed = frozenset({"read-only"})
    with pytest.raises(LookError, match="canary") as error:
        session(reach, "SELECT 1", mode="committed")
    assert error.value.kind == "not-enabled"


def test_a_session_ends_in_time_and_within_its_bytes(server: int) -> None:
    settings = {"host": "127.0.0.1", "port": str(server), "user": "postgres", "dbname": "shop"}
    start = time.monotonic()
    with Link(settings, 1.0) as link, pytest.raises(LookError) as late:
        link.run("SELECT pg_sleep(30)")
    assert late.value.kind == "timeout"
    assert time.monotonic() - start < 5
    with Link(settings, 30.0) as link, pytest.raises(LookError) as large:
        link.run("SELECT repeat('x', 1000000) FROM generate_series(1, 1000)")
    assert large.value.kind == "malformed"
