"""Commands and tunnels against an API of our own that speaks the websocket by hand."""

from __future__ import annotations

import json
import re
import socket
from base64 import b64encode
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import pytest

from conformance.evidence import LookError
from conformance.live import routes, streams
from tests.reaching import reach_to, short_limits
from tests.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import Line

_KEY = re.compile(rb"Sec-WebSocket-Key: (\S+)", re.IGNORECASE)
_POD = {"namespace": "n", "name": "p", "ip": "192.0.2.1"}
_PORT = 5432
_FIRST = (_PORT).to_bytes(2, "little")
_REFUSED = b"failed to connect to localhost:5432: connection refused"


@pytest.fixture(scope="module", autouse=True)
def imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Load the client library once: that is no part of a stream's time."""
    reach_to(tmp_path_factory.mktemp("first"), "http://127.0.0.1:1").client  # noqa: B018


@pytest.fixture(autouse=True)
def limits() -> Iterator[None]:
    with short_limits():
        yield


def frame(channel: int, data: bytes) -> bytes:
    payload = bytes([channel]) + data
    return b"\x82" + bytes([126]) + len(payload).to_bytes(2, "big") + payload


def heard(line: Line) -> bytes:
    """Return the payload of the client's next message, without its channel; empty at its end."""
    data = b""
    while len(data) < 8 and (more := line.hear()):
        data += more
    if len(data) < 8 or data[0] & 0x0F == 8:  # a message of ours has a mask and a byte at least
        return b""
    size = data[1] & 0x7F  # the tests say little: sizes of one byte
    while len(data) < 6 + size and (more := line.hear()):
        data += more
    mask, body = data[2:6], data[6 : 6 + size]
    return bytes(one ^ mask[place % 4] for place, one in enumerate(body))[1:]


def api(then: Callable[[Line], None]) -> Callable[[Line], None]:
    def behave(line: Line) -> None:
        key = _KEY.search(line.hear())
        assert key
        proof = b64encode(sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324
        line.say(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        line.say(b"Sec-WebSocket-Accept: " + proof)
        line.say(b"\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n")
        then(line)

    return behave


def named(line: Line) -> None:
    """Say which port each channel is about, as the kubelet does first."""
    line.say(frame(0, _FIRST) + frame(1, _FIRST))


def closed(line: Line) -> None:
    named(line)
    line.say(frame(1, _REFUSED))


def echo(line: Line) -> None:
    named(line)
    while data := heard(line):
        line.say(frame(0, data.upper()))


def mute(line: Line) -> None:
    named(line)
    line.wait(5)


def last_words(line: Line) -> None:
    """Answer once, complain once, and end."""
    named(line)
    line.say(frame(0, heard(line)) + frame(1, b"reset by peer") + b"\x88\0")


def through(tmp_path: Path, then: Callable[[Line], None], talk: Callable[[Any], Any]) -> Any:
    with serving(api(then)) as running:
        reach = reach_to(tmp_path, f"http://127.0.0.1:{running.port}")
        with routes.dial(reach, _POD, _PORT, limit=1.5, route="port-forward") as door:
            assert door.route == "port-forward"
            with socket.create_connection(door[:2], 2) as stream:
                return talk(stream)


def ask(stream: socket.socket) -> bytes:
    stream.sendall(b"hello")
    return stream.recv(100)


def test_an_open_port_is_carried_both_ways(tmp_path: Path) -> None:
    assert through(tmp_path, echo, ask) == b"HELLO"


def test_a_closed_port_is_reported_closed(tmp_path: Path) -> None:
    with pytest.raises(LookError, match="connection refused") as caught:
        through(tmp_path, closed, ask)
    assert caught.value.kind == "unreachable"
    assert caught.value.detail == {"closed": _PORT}


def test_a_closed_port_is_reported_also_where_nobody_looked(tmp_path: Path) -> None:
    def swallow(stream: socket.socket) -> None:
        try:
            ask(stream)
        except ConnectionError:
            return

    with pytest.raises(LookError, match="connection refused"):
        through(tmp_path, closed, swallow)


def test_an_end_after_an_answer_is_no_closed_port(tmp_path: Path) -> None:
    assert through(tmp_path, last_words, ask) == b"hello"


def test_a_silent_port_ends_in_time(tmp_path: Path) -> None:
    with pytest.raises(LookError) as caught:
        through(tmp_path, mute, ask)
    assert caught.value.kind == "timeout"


def test_what_comes_after_a_near_end_finished_writing_arrives(tmp_path: Path) -> None:
    def late(line: Line) -> None:
        named(line)
        data = heard(line)
        line.wait(0.3)
        line.say(frame(0, data * 2) + b"\x88\0")

    def finish(stream: socket.socket) -> bytes:
        stream.sendall(b"ab")
        stream.shutdown(socket.SHUT_WR)
        return stream.recv(100)

    assert through(tmp_path, late, finish) == b"abab"


def test_every_connection_gets_a_tunnel_of_its_own(tmp_path: Path) -> None:
    with serving(api(echo)) as running:
        reach = reach_to(tmp_path, f"http://127.0.0.1:{running.port}")
        with routes.dial(reach, _POD, _PORT, limit=1.5, route="port-forward") as door:
            streams_ = [socket.create_connection(door[:2], 2) for _ in range(5)]
            assert [ask(one) for one in streams_] == [b"HELLO"] * 5
            for one in streams_:
                one.close()
    assert running.connections == 5


@pytest.mark.parametrize(
    ("status", "kind"),
    [("403 Forbidden", "forbidden"), ("404 Not Found", "not-found"), ("401 Un", "unauthorized")],
)
def test_a_refusal_of_the_api_is_told_as_such(tmp_path: Path, status: str, kind: str) -> None:
    answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    with serving(lambda line: line.answer(answer)) as running:
        reach = reach_to(tmp_path, f"http://127.0.0.1:{running.port}")
        with pytest.raises(LookError) as caught:
            streams.exec_(reach, "n", "p", ["true"], limit=1.0)
    assert caught.value.kind == kind


def failure(code: int) -> dict[str, Any]:
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return {"status": "Failure", "message": "non-zero", "details": {"causes": causes}}


ENDINGS: dict[str, tuple[dict[str, Any], int | None]] = {
    "well": ({"status": "Success"}, 0),
    "ill": (failure(1), 1),
    "oddly": (failure(42), 42),
    "not begun": ({"status": "Failure", "message": "executable file not found"}, None),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_a_command_ends_with_its_code(tmp_path: Path, how: str) -> None:
    status, code = ENDINGS[how]

    def run(line: Line) -> None:
        line.say(frame(1, b"out") + frame(2, b"err") + frame(1, b"\xff"))
        line.say(frame(3, json.dumps(status).encode()) + b"\x88\0")

    with serving(api(run)) as running:
        reach = reach_to(tmp_path, f"http://127.0.0.1:{running.port}")
        seen = streams.exec_(reach, "n", "p", ["command"], limit=1.0)
    assert (seen["stdout"], seen["stderr"], seen["code"]) == ("out�", "err", code)


@pytest.mark.parametrize(
    ("said", "kind"),
    [(b"", "partial"), (frame(3, b"{"), "malformed"), (frame(3, b"[]"), "malformed")],
)
def test_a_command_without_a_status_did_not_end_well(
    tmp_path: Path, said: bytes, kind: str
) -> None:
    with serving(api(lambda line: line.say(frame(1, b"out") + said + b"\x88\0"))) as running:
        reach = reach_to(tmp_path, f"http://127.0.0.1:{running.port}")
        with pytest.raises(LookError) as caught:
            streams.exec_(reach, "n", "p", ["true"], limit=1.0)
    assert caught.value.kind == kind


def test_a_service_is_not_reached_by_a_tunnel(tmp_path: Path) -> None:
    reach = reach_to(tmp_path, "http://127.0.0.1:1")
    reach.route = "port-forward"
    with pytest.raises(LookError, match="run the suite in the cluster") as caught:
        routes.dial_service(reach, "n/s", 80).__enter__()
    assert caught.value.kind == "no-route"


def test_a_given_address_is_the_way(tmp_path: Path) -> None:
    reach = reach_to(tmp_path, "http://127.0.0.1:1")
    reach.platform.addresses["n/v6:80"] = "[2001:db8::1]:8080"
    with routes.dial_service(reach, "n/v6", 80) as door:
        assert door == ("2001:db8::1", 8080, "address")


def test_a_pod_without_an_address_is_unreachable(tmp_path: Path) -> None:
    reach = reach_to(tmp_path, "http://127.0.0.1:1")
    reach.route = "pod-network"
    with pytest.raises(LookError) as caught:
        routes.dial(reach, {**_POD, "ip": ""}, 80).__enter__()
    assert caught.value.kind == "unreachable"
