"""Whatever listens on a port, a look ends in time, costs little, and gives no secret away."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1
from typing import TYPE_CHECKING

import pytest

from conformance.evidence import LookError
from conformance.live import kubernetes, postgres_link, redis, streams, wire
from tests.reaching import SHORT, TOKEN, reach_to, short_limits
from tests.servers import (
    OK,
    Behaviour,
    Line,
    Server,
    alerting,
    bomb,
    certificate,
    costing,
    dripping,
    flooding,
    hanging_up,
    reply,
    saying,
    serving,
    silent,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conformance.live.reach import Reach

MEGABYTE = 1024 * 1024
BUSY = 1.0  # seconds that the other tests of a loaded machine may take from this one
MEMORY = 16 * MEGABYTE
PASSWORD = "canary-Pass+of/the=product"
POD = {"namespace": "n", "name": "p", "ip": "127.0.0.1"}
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

HTTP: dict[str, tuple[Behaviour, set[str]]] = {
    "silent": (silent, {"timeout"}),
    "hangs_up": (hanging_up, {"partial", "unreachable"}),
    "drips_its_headers": (dripping(b"X: y\r\n", OK), {"timeout"}),
    "drips_its_first_line": (dripping(b"HTTP/1.1 "), {"timeout"}),
    "drips_its_body": (dripping(b" ", OK + b"Content-Length: 9999\r\n\r\n"), {"timeout"}),
    "drips_chunks": (dripping(b"1\r\n \r\n", CHUNKED), {"timeout"}),
    "drips_until_it_ends": (dripping(b" ", OK + b"\r\n"), {"timeout"}),
    "endless_body": (flooding(b" " * 65536, OK + b"\r\n"), {"malformed"}),
    "endless_chunks": (flooding(b"10000\r\n" + b" " * 65536 + b"\r\n", CHUNKED), {"malformed"}),
    "endless_chunk_line": (flooding(b"0" * 65536, CHUNKED), {"malformed", "partial"}),
    "endless_headers": (flooding(b"X: " + b"y" * 60_000 + b"\r\n", OK), {"malformed"}),
    "endless_header": (flooding(b"y" * 65536, OK), {"malformed"}),
    "endless_continues": (flooding(b"HTTP/1.1 100 Continue\r\n\r\n"), {"timeout", "malformed"}),
    "bomb": (saying(bomb()), {"malformed"}),
    "secure_shell": (saying(b"", first=b"SSH-2.0-OpenSSH_9.2\r\n"), {"malformed"}),
    "redis": (saying(b"-ERR unknown command 'GET'\r\n"), {"malformed"}),
    "postgres": (saying(b"E\0\0\0\x13SFATAL\0C08P01\0\0"), {"malformed", "timeout"}),
    "yes_man": (saying(reply(b"<html>It works!</html>")), {"malformed"}),
    "yes_man_in_json": (saying(reply({"status": "ok"})), {"malformed"}),
}
CALLS: dict[str, Callable[[Reach], object]] = {
    "version": kubernetes.version,
    "list": lambda reach: kubernetes.list_(reach, "pods"),
    "exec": lambda reach: streams.exec_(reach, "n", "p", ["true"], limit=SHORT.probe),
}


@pytest.fixture(scope="module", autouse=True)
def imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Load the client libraries once: that is no part of what an attack costs."""
    with serving(saying(reply({"gitVersion": "v1"}))) as running:
        folder = tmp_path_factory.mktemp("first")
        kubernetes.version(reach_to(folder, f"http://127.0.0.1:{running.port}"))


@pytest.fixture(autouse=True)
def limits() -> Iterator[None]:
    with short_limits():
        yield


def attack(look: Callable[[], object], longest: float, most: int = MEMORY) -> str:
    """Return the kind of error that a look ends with; check what it took."""
    with costing() as cost, pytest.raises(LookError) as caught:
        look()
    assert cost.seconds < longest + 1 + BUSY
    assert cost.memory < most, f"{cost.memory / MEGABYTE:.0f} MiB"
    assert PASSWORD not in caught.value.message
    return caught.value.kind


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("server", HTTP)
def test_a_hostile_api_ends_in_time(tmp_path: Path, server: str, call: str) -> None:
    behave, kinds = HTTP[server]
    with serving(behave) as running:
        reach = reach_to(tmp_path, f"http://127.0.0.1:{running.port}")
        kind = attack(lambda: CALLS[call](reach), max(SHORT.probe, SHORT.listing))
    assert kind in (kinds if call != "exec" else kinds | {"unreachable", "malformed", "timeout"})


UPGRADE = re.compile(rb"Sec-WebSocket-Key: (\S+)", re.IGNORECASE)
STREAMS: dict[str, Behaviour] = {
    "silent": silent,
    "drips_a_message": dripping(b"x", b"\x82\x7e\x40\0"),
    "drips_pings": dripping(b"\x89\0"),
    "endless_message": flooding(b"x" * 65536, b"\x82\x7f\0\0\0\x7f\xff\xff\xff\xff"),
    "endless_parts": flooding(b"\0\x7d" + b"x" * 125, b"\x02\x01x"),
    "endless_output": flooding(b"\x82\x7e\x7f\xff\x01" + b"x" * 32766),
    "endless_pings": flooding(b"\x89\0" * 1000),
    "nonsense": flooding(b"\xff" * 65536),
}


@pytest.mark.parametrize("server", STREAMS)
def test_a_hostile_stream_ends_in_time(tmp_path: Path, server: str) -> None:
    def behave(line: Line) -> None:
        key = UPGRADE.search(line.hear())
        assert key
        proof = b64encode(sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324
        line.say(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        line.say(b"Sec-WebSocket-Accept: " + proof)
        line.say(b"\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n")
        STREAMS[server](line)

    with serving(behave) as running:
        reach = reach_to(tmp_path, f"http://127.0.0.1:{running.port}")
        kind = attack(lambda: CALLS["exec"](reach), SHORT.probe)
    assert kind in {"timeout", "malformed", "partial"}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_no_token_follows_a_redirect(tmp_path: Path, status: str, call: str) -> None:
    with serving(saying(reply({"gitVersion": "v1"}))) as other:
        to = reply(b"", status, Location=f"http://127.0.0.1:{other.port}/version")
        with serving(saying(to)) as running:
            reach = reach_to(tmp_path, f"http://127.0.0.1:{running.port}")
            assert attack(lambda: CALLS[call](reach), SHORT.listing)
            assert TOKEN.encode() in running.heard
    assert other.connections == 0


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return certificate(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trusted")


TLS = {
    "stranger": {},
    "expired": {"days": -1},
    "of_100000_names": {"names": 100_000},
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("whose", TLS)
def test_no_token_is_sent_to_a_bad_certificate(
    trusted: Path, stranger: ssl.SSLContext, tmp_path: Path, whose: str, call: str
) -> None:
    folder = trusted / whose
    folder.mkdir(exist_ok=True)
    context = certificate(folder, **TLS[whose])
    presented = stranger if whose == "stranger" else context
    with serving(saying(reply({"gitVersion": "v1"})), presented) as running:
        reach = reach_to(tmp_path, f"https://127.0.0.1:{running.port}", folder / "ca.pem")
        reach.client  # noqa: B018 - reading the certificates is no part of the look
        assert attack(lambda: CALLS[call](reach), SHORT.listing) in {"unreachable", "malformed"}
    assert not running.heard


def test_the_right_certificate_is_trusted(trusted: Path, tmp_path: Path) -> None:
    folder = trusted / "right"
    folder.mkdir()
    context = certificate(folder)
    with serving(saying(reply({"gitVersion": "v1"})), context) as running:
        reach = reach_to(tmp_path, f"https://127.0.0.1:{running.port}", folder / "ca.pem")
        assert kubernetes.version(reach) == {"gitVersion": "v1"}


NO_TLS: dict[str, Behaviour] = {
    "silent": silent,
    "alerts": alerting,
    "drips": dripping(b"\x16\x03\x03"),
    "speaks_http": saying(reply({})),
    "hangs_up": hanging_up,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("server", NO_TLS)
def test_a_handshake_that_comes_to_nothing_ends_in_time(
    trusted: Path, tmp_path: Path, server: str, call: str
) -> None:
    certificate(trusted)
    with serving(NO_TLS[server]) as running:
        reach = reach_to(tmp_path, f"https://127.0.0.1:{running.port}", trusted / "ca.pem")
        assert attack(lambda: CALLS[call](reach), SHORT.listing)
        assert TOKEN.encode() not in running.heard


def link_to_postgres(_: Reach, server: Server) -> object:
    settings = {"host": "127.0.0.1", "port": str(server.port), "user": "u", "dbname": "d"}
    with postgres_link.Link({**settings, "password": PASSWORD}, SHORT.probe) as link:
        return link.run("SELECT 1")


def talk_to_redis(reach: Reach, _: Server) -> object:
    return redis.session(reach, {"port": 1, "pod": POD}, [["INFO"]], "login")


def postgres(then: Behaviour) -> Behaviour:
    """Refuse TLS, let anybody in, and behave so once a statement comes."""

    def behave(line: Line) -> None:
        line.answer(b"N")
        line.hear()
        line.say(b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I")
        line.hear()
        then(line)

    return behave


ROW = b"T\0\0\0\x1a\0\x01c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
BINARY: dict[str, Behaviour] = {
    "silent": silent,
    "hangs_up": hanging_up,
    "drips": dripping(b"N"),
    "floods": flooding(b"\0" * 65536),
    "floods_text": flooding(b"+" * 65536),
    "alerts": alerting,
    "secure_shell": saying(b"", first=b"SSH-2.0-OpenSSH_9.2\r\n"),
    "http": saying(reply(b"<html>It works!</html>")),
    "redis_lists": flooding(b"*1\r\n" * 16384),
    "redis_giant": flooding(b" " * 65536, b"$2000000000\r\n"),
    "redis_many": flooding(b"+\r\n" * 20000, b"*2000000000\r\n"),
    "postgres_notices": postgres(flooding(b"N\0\0\0\x09Sx\0\0\0" * 6000)),
    "postgres_row": postgres(
        flooding(b" " * 65536, ROW + b"D\x3f\xff\xff\xff\0\x01\x3f\xff\xff\xf0")
    ),
    "postgres_rows": postgres(flooding((b"D\0\0\0\x6e\0\x01\0\0\0\x64" + b"x" * 100) * 500, ROW)),
    "postgres_parameters": postgres(flooding(b"S\0\0\0\x08a\0b\0" * 6000)),
    "postgres_drips": postgres(dripping(b"N\0\0\0\x09Sx\0\0\0")),
}


@pytest.mark.parametrize("server", BINARY)
@pytest.mark.parametrize("client", [link_to_postgres, talk_to_redis])
def test_a_hostile_product_ends_in_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    server: str,
    client: Callable[[Reach, Server], object],
) -> None:
    monkeypatch.setenv("CONFORMANCE_LOGIN_USER", "u")
    monkeypatch.setenv("CONFORMANCE_LOGIN_PASSWORD", PASSWORD)
    with serving(BINARY[server]) as running:
        reach = reach_to(tmp_path, "http://127.0.0.1:1")
        reach.platform.addresses["n/p:1"] = f"127.0.0.1:{running.port}"
        # libpq makes a result of about 50 bytes of each notice of ten before it hands it over
        most = 3 * MEMORY if server == "postgres_notices" else MEMORY
        kind = attack(lambda: client(reach, running), SHORT.probe, most)
    assert kind in {"timeout", "unreachable", "partial", "malformed"}
    if "redis" not in server or client is link_to_postgres:
        assert PASSWORD.encode() not in running.heard


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("server", BINARY)
def test_hearing_what_speaks_ends_in_time(server: str, tls: bool, tmp_path: Path) -> None:  # noqa: FBT001
    with serving(BINARY[server]) as running:
        reach = reach_to(tmp_path, "http://127.0.0.1:1")
        reach.platform.addresses["n/p:1"] = f"127.0.0.1:{running.port}"
        with costing() as cost:
            seen = wire.say(reach, 1, "00", POD, tls=tls)
    assert seen["connected"]
    assert cost.seconds < SHORT.probe + 1
    assert cost.memory < MEMORY
