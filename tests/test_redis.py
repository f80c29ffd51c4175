"""Redis in its own words: transcripts from servers of every kind, and what they mean."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from conformance.evidence import LookError
from conformance.live import disruption, kubernetes, redis, routes
from conformance.live.credentials import Secretive
from conformance.pods import Pod
from conformance.redaction import Redactor
from conformance.redis_transcript import (
    REPLICATION,
    Node,
    Reply,
    Session,
    node_of,
    passwordless_users,
)
from conformance.verdict import UndecidedError
from tests.reaching import short_limits
from tests.servers import certificate, hanging_up, saying, scripted, serving, silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Line

PASSWORD = "correct horse battery"


class Credentials:
    def find(self, name: str) -> dict[str, Secretive]:
        if name == "none":
            raise LookError("no-credentials", "there is none")
        return {"password": Secretive(PASSWORD)}


@dataclass
class Reach:
    allowed: frozenset[str] = frozenset({"read-only"})
    credentials: Credentials = field(default_factory=Credentials)
    redactor: Redactor = field(default_factory=Redactor)

    def demand(self, danger: str) -> None:
        if danger not in self.allowed:
            raise LookError("not-enabled", danger)


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def dial(_reach: Any, _pod: Any, port: int) -> Iterator[routes.Door]:
        yield routes.Door("127.0.0.1", port, "pod-network")

    monkeypatch.setattr(routes, "dial", dial)


def ask(port: int, *commands: str, reach: Reach | None = None, **how: Any) -> Any:
    where = {"pod": {"namespace": "data", "name": "redis-0", "ip": "127.0.0.1"}, "port": port}
    words = [one.split() for one in commands]
    asked = {"server": where, "commands": words, "credential": "redis", **how}
    return redis.session(reach or Reach(), **asked)  # type: ignore[arg-type]  # as much as is used


def test_a_transcript_keeps_the_words_of_every_answer() -> None:
    talk = scripted(
        b"-NOAUTH Authentication required.\r\n",
        b"+OK\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
        b"*3\r\n$6\r\nmaster\r\n:42\r\n*0\r\n",
        b"$-1\r\n",
    )
    with serving(talk) as server:
        told = ask(server.port, "SET a b", "ROLE", "GET a")
    assert told == {
        "route": "pod-network",
        "tls": False,
        "greeting": {"error": "NOAUTH Authentication required."},
        "auth": {"value": "OK"},
        "replies": [
            {"error": "READONLY You can't write against a read only replica."},
            {"value": ["master", 42, []]},
            {"value": None},
        ],
    }


def test_the_wrong_password_is_not_the_right_one_and_none_is_not_sent() -> None:
    refusal = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
    with serving(saying(refusal)) as server:
        wrong = ask(server.port, "PING", auth="wrong")
        none = ask(server.port, "PING", auth="none")
    assert wrong["auth"]["error"].startswith("WRONGPASS")
    assert none["auth"] is None
    assert PASSWORD.encode() not in server.heard
    assert server.heard.count(b"AUTH") == 1


def test_settings_that_are_secrets_and_hashes_are_not_shown() -> None:
    hashed = b"user default on #" + b"ab" * 32 + b" ~* +@all"
    talk = scripted(
        b"+PONG\r\n",
        b"+OK\r\n",
        b"*4\r\n$10\r\nmasterauth\r\n$7\r\nabc1234\r\n$3\r\ndir\r\n$5\r\n/data\r\n",
        b"*2\r\n$11\r\nrequirepass\r\n$0\r\n\r\n",
        b"*1\r\n$%d\r\n%s\r\n" % (len(hashed), hashed),
    )
    reach = Reach()
    with serving(talk) as server:
        told = ask(server.port, "CONFIG GET *", "config get requirepass", "ACL LIST", reach=reach)
    first, second, users = (one["value"] for one in told["replies"])
    assert first[0] == "masterauth"
    assert first[1].startswith("*** (7 characters")
    assert first[2:] == ["dir", "/data"]
    assert second == ["requirepass", ""]
    assert users == ["user default on #*** ~* +@all"]
    assert reach.redactor.found_in("the log says abc1234")


@pytest.mark.parametrize(
    ("talk", "kind"),
    [
        (silent, "timeout"),
        (scripted(b"+PONG\r\n", b"+OK\r\n", silent), "timeout"),
        (scripted(b"+PONG\r\n", lambda _: None), "partial"),
        (hanging_up, "unreachable"),
    ],
    ids=("silent", "stops", "half", "hangs-up"),
)
def test_what_is_no_whole_transcript_is_an_error(talk: Any, kind: str) -> None:
    with short_limits(), serving(talk) as server, pytest.raises(LookError) as error:
        ask(server.port, "PING")
    assert error.value.kind == kind


def test_the_word_of_a_server_that_turns_everyone_away_stands_for_every_answer() -> None:
    denied = "DENIED Redis is in protected mode because no password is set for the default user."

    def behave(line: Line) -> None:
        line.say(f"-{denied}\r\n".encode())

    with serving(behave) as server:
        told = ask(server.port, "GET a", "PING")
    assert told["auth"] == {"error": denied}
    assert told["replies"] == [{"error": denied}] * 2


def test_a_closed_port_is_unreachable() -> None:
    with serving(silent) as server:
        pass
    with pytest.raises(LookError) as error:
        ask(server.port, "PING")
    assert error.value.kind == "unreachable"


def test_a_port_that_hangs_up_on_plain_text_is_asked_in_tls(tmp_path: Path) -> None:
    context = certificate(tmp_path)
    plain: list[bytes] = []

    def behave(line: Line) -> None:
        if not plain:
            plain.append(line.hear())
            return
        with context.wrap_socket(line.conn, server_side=True) as conn:
            for answer in (b"+PONG\r\n", b"+OK\r\n", b"+PONG\r\n"):
                conn.recv(65536)
                conn.sendall(answer)

    with serving(behave) as server:
        told = ask(server.port, "PING")
    assert told["tls"] is True
    assert told["replies"] == [{"value": "PONG"}]
    assert plain == [b"*1\r\n$4\r\nPING\r\n"], "a password in plain text would be given away"


@pytest.mark.parametrize("danger", ["canary", "disruptive"])
def test_what_a_run_does_not_allow_is_not_sent(danger: str) -> None:
    with serving(silent) as server, pytest.raises(LookError) as error:
        ask(server.port, "SET a b", danger=danger)
    assert error.value.kind == "not-enabled"
    assert not server.heard


def test_disruption_needs_the_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> None:
        raise LookError("not-found", "no such ConfigMap")

    monkeypatch.setattr(kubernetes, "request", missing)
    reach: Any = Reach(frozenset({"read-only", "disruptive"}))
    with pytest.raises(LookError) as error:
        disruption.delete_pod(reach, "data", "redis-0", "uid")
    assert error.value.kind == "not-enabled"


POD = Pod({"metadata": {"namespace": "data", "name": "redis-0"}, "spec": {}, "status": {}})


def session(*replies: Reply, auth: Reply | None = None) -> Session:
    return Session("pod-network", Reply("PONG"), auth or Reply("OK"), replies, "evidence/x.json")


def node(text: str) -> Node:
    return node_of(POD, REPLICATION, session(Reply(text)))


def test_replicas_are_counted_that_are_online() -> None:
    found = node(
        "role:master\r\nconnected_slaves:3\r\n"
        "slave0:ip=127.0.0.6,port=6379,state=online,offset=1,lag=0\r\n"
        "slave1:ip=127.0.0.6,port=6379,state=send_bulk,offset=0,lag=9\r\n"
        "slave10:ip=127.0.0.6,port=6379,state=online,offset=1,lag=0\r\n"
        "slave_note:state=online\r\n"
    )
    assert found.is_master
    assert found.online == 2


def test_what_does_not_describe_itself_as_redis_is_undecided() -> None:
    with pytest.raises(UndecidedError, match="Redis"):
        node("version:1\r\n")


def test_a_refused_password_is_told_from_a_missing_right() -> None:
    refused = session(
        Reply(error="NOAUTH Authentication required."),
        auth=Reply(error="WRONGPASS invalid username-password pair"),
    )
    with pytest.raises(UndecidedError, match="give the suite the password in use"):
        node_of(POD, REPLICATION, refused)
    denied = session(Reply(error="NOPERM User probe has no permissions to run the 'info' command"))
    with pytest.raises(UndecidedError, match="NOPERM"):
        node_of(POD, REPLICATION, denied)


def test_a_number_that_is_missing_is_undecided() -> None:
    with pytest.raises(UndecidedError, match="slave_repl_offset"):
        node("role:slave\r\nmaster_link_status:up\r\n").number("slave_repl_offset")


@pytest.mark.parametrize(
    ("line", "open_to"),
    [
        ("user default on nopass ~* &* +@all", ["default"]),
        ("user default on #*** ~* &* +@all", []),
        ("user default off nopass ~* &* +@all", []),
        ("user guest on nopass -@all", []),
        ("user guest on nopass resetchannels -@all +get", ["guest"]),
    ],
)
def test_users_without_a_password_count_when_they_may_do_something(
    line: str, open_to: list[str]
) -> None:
    assert passwordless_users([line]) == open_to


@pytest.mark.parametrize(
    "words",
    [
        "ERR AUTH <password> called without any password configured for the default user.",
        "ERR Client sent AUTH, but no password is set",
        "DENIED Redis is in protected mode because no password is set for the default user.",
    ],
)
def test_errors_that_tell_of_no_password_are_known(words: str) -> None:
    assert Reply(error=words).tells_of_no_password
    assert not Reply(error="WRONGPASS invalid username-password pair").tells_of_no_password
