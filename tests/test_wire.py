"""What counts as the answer of a protocol, and what does not."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from conformance.platform import Protocol
from conformance.wire import GREETINGS, SILENT, Reply

NOBODY = (
    b"",
    b"\0",
    b"\x15\x03\x01\0\x02\x02\x28",  # a TLS alert
    b"HTTP/1.1 503 Service Unavailable\r\nserver: envoy\r\n\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
    b"HTTP/1.1 403 Forbidden\r\nserver: envoy\r\n\r\nRBAC: access denied",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"-ERR unknown command\r\n",
    b"EFATAL: unsupported frontend protocol",
)
ANSWERS: dict[Protocol, tuple[bytes, ...]] = {
    Protocol.POSTGRES: (b"S", b"N"),
    Protocol.REDIS: (b"+PONG\r\n", b"-NOAUTH Authentication required.\r\n"),
    Protocol.BOLT: (b"\0\0\x04\x05", b"\0\0\0\0"),
    Protocol.KAFKA: (struct.pack(">iihi", 10, 0x61696B31, 0, 0),),
    Protocol.ZOOKEEPER: (
        b"Zookeeper version: 3.8.3\n",
        b"srvr is not executed because it is not in the whitelist.\n",
    ),
    Protocol.HTTP: (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 401 Unauthorized\r\n\r\n"),
    Protocol.HTTPS: (b"HTTP/1.1 404 Not Found\r\n\r\n",),
    Protocol.GRPC: (bytes.fromhex("000006040000000000000300000064"),),
}


def reply(protocol: Protocol, received: bytes, **other: Any) -> Reply:
    value = {
        "route": "pod-network",
        "refusal": "",
        "tls": "",
        "received": received.decode("latin-1"),
        "reset": False,
        "closed": True,
    }
    return Reply.of(protocol, value | other)


@pytest.mark.parametrize("protocol", ANSWERS)
def test_a_server_is_recognised_by_its_own_words(protocol: Protocol) -> None:
    assert all(reply(protocol, one).speaks for one in ANSWERS[protocol])


@pytest.mark.parametrize("protocol", ANSWERS)
def test_others_are_not_taken_for_it(protocol: Protocol) -> None:
    family = {Protocol.HTTP, Protocol.HTTPS}
    strangers = [
        one
        for other, answers in ANSWERS.items()
        if other is not protocol and not {other, protocol} <= family
        for one in answers
    ]
    taken = [one for one in (*NOBODY, *strangers) if reply(protocol, one).speaks]
    assert not taken


def test_every_protocol_is_begun_or_known_to_be_silent() -> None:
    assert set(GREETINGS) | set(SILENT) == set(Protocol)
    assert set(GREETINGS) == set(ANSWERS)


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ({"refusal": "timeout"}, "the connection: timeout"),
        ({"tls": "error: EOF"}, "no TLS (EOF)"),
        ({"tls": "TLSv1.3"}, "connected over TLSv1.3, then closed without a byte"),
        ({"reset": True}, "connected, then reset without a byte"),
        ({"closed": False}, "connected, then silent until the limit without a byte"),
    ],
)
def test_what_happened_is_told(seen: dict[str, Any], told: str) -> None:
    assert reply(Protocol.HTTP, b"", **seen).outcome == told


def test_only_the_pod_network_is_what_clients_cross() -> None:
    crossing = [reply(Protocol.HTTP, b"", route=one).crosses for one in ("pod-network", "address")]
    assert crossing == [True, False]
