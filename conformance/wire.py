"""Whether a port answers the protocol it is meant to speak, by that protocol's own first words.

A connection that stands proves nothing: proxies accept every one. What counts is
an answer that only a server of the protocol gives.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.evidence import Lens, Question
from conformance.platform import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_KAFKA_ID = 0x61696B31  # the number by which the answer is told from any other bytes
_KAFKA = struct.pack(">hhih", 18, 0, _KAFKA_ID, 3) + b"aik"  # ApiVersions, version 0
_GET = b"GET / HTTP/1.1\r\nHost: conformance\r\nAccept: */*\r\nConnection: close\r\n\r\n"
GREETINGS = {
    Protocol.POSTGRES: bytes.fromhex("0000000804d2162f"),  # SSLRequest
    Protocol.REDIS: b"PING\r\n",
    Protocol.BOLT: bytes.fromhex("6060b017 00080805 00040404 00000003 00000000"),
    Protocol.KAFKA: struct.pack(">i", len(_KAFKA)) + _KAFKA,
    Protocol.ZOOKEEPER: b"srvr",
    Protocol.HTTP: _GET,
    Protocol.HTTPS: _GET,
    Protocol.GRPC: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"),
}
SILENT = {
    Protocol.UDP: "nobody answers on such a port; whether data arrives, its product says",
    Protocol.PEER: "only members of the product's own cluster are answered",
}


@dataclass(frozen=True)
class Reply:
    """What came back. `refusal` is empty where the connection stood; `tls` is the version."""

    protocol: Protocol
    route: str
    refusal: str
    tls: str
    received: bytes
    reset: bool
    closed: bool

    @classmethod
    def of(cls, protocol: Protocol, value: dict[str, Any]) -> Reply:
        """Read the value of a `wire.say`."""
        return cls(
            protocol=protocol,
            route=value["route"],
            refusal=value["refusal"],
            tls=value["tls"],
            received=value["received"].encode("latin-1", "replace"),
            reset=value["reset"],
            closed=value["closed"],
        )

    @property
    def crosses(self) -> bool:
        """Say whether the way is one that clients in the cluster take."""
        return self.route == "pod-network"

    @property
    def speaks(self) -> bool:
        """Say whether the answer is one that only a server of the protocol gives."""
        return bool(self.received) and _SIGNATURES[self.protocol](self.received)

    @property
    def outcome(self) -> str:
        """Return what happened, for people."""
        if self.refusal:
            return f"the connection: {self.refusal}"
        secured = f" over {self.tls}" if self.tls and not self.tls.startswith("error") else ""
        if self.tls.startswith("error"):
            return f"no TLS ({self.tls.removeprefix('error: ')})"
        if self.received:
            first = self.received[:60].decode("latin-1")
            return f"an answer{secured} beginning {first!r}"
        ending = "reset" if self.reset else "closed" if self.closed else "silent until the limit"
        return f"connected{secured}, then {ending} without a byte"


def _http(data: bytes) -> bool:
    """Any status is an answer, except what a proxy says in the place of a server."""
    line, _, rest = data.partition(b"\r\n")
    words = line.split(b" ", 2)
    if not words[0].startswith(b"HTTP/1.") or len(words) < 2 or not words[1].isdigit():  # noqa: PLR2004
        return False
    denied = words[1] == b"403" and rest.rstrip().endswith(b"RBAC: access denied")
    clear = words[1] == b"400" and b"HTTPS server" in rest
    return int(words[1]) < 500 and not denied and not clear  # noqa: PLR2004 - a server's failure


def _kafka(data: bytes) -> bool:
    whole = len(data) >= 10  # noqa: PLR2004 - size, number, error code
    return whole and struct.unpack_from(">i", data, 4)[0] == _KAFKA_ID


_SIGNATURES: dict[Protocol, Callable[[bytes], bool]] = {
    Protocol.POSTGRES: lambda data: data in {b"S", b"N"},
    Protocol.REDIS: lambda data: data.startswith((b"+PONG\r\n", b"-NOAUTH ", b"-NOPERM ")),
    Protocol.BOLT: lambda data: len(data) == 4 and data[:1] == b"\0",  # noqa: PLR2004 - a version
    Protocol.KAFKA: _kafka,
    Protocol.ZOOKEEPER: lambda data: (
        data.startswith(b"Zookeeper version:") or b"is not executed because" in data
    ),
    Protocol.HTTP: _http,
    Protocol.HTTPS: _http,
    Protocol.GRPC: lambda data: len(data) >= 9 and data[3] == 4 and data[5:9] == bytes(4),  # noqa: PLR2004
}


@dataclass(frozen=True)
class Wire:
    """Says a protocol's first words to ports, through the lens."""

    lens: Lens

    def through(self, service: str, port: int, protocol: Protocol) -> Reply:
        """Return what a Service (`namespace/name`) answers; `UndecidedError` without a way."""
        return self._ask(f"{service}:{port}", protocol, {"service": service, "port": port})

    def at(self, pod: dict[str, str], port: int, protocol: Protocol) -> Reply:
        """Return what a pod (`namespace`, `name`, `ip`) answers."""
        subject = f"{pod['namespace']}/{pod['name']}:{port}"
        return self._ask(subject, protocol, {"pod": pod, "port": port})

    def _ask(self, subject: str, protocol: Protocol, target: dict[str, Any]) -> Reply:
        """Ask in clear, then in TLS where that was no answer; PostgreSQL begins TLS in clear."""
        secured = (True,) if protocol is Protocol.HTTPS else (False, True)
        if protocol is Protocol.POSTGRES:
            secured = (False,)
        sent = {**target, "sent": GREETINGS[protocol].hex()}
        replies = []
        for tls in secured:
            question = Question("wire.say", subject, {**sent, "tls": tls})
            reply = Reply.of(protocol, self.lens.look(question).value)
            replies.append(reply)
            if reply.speaks or reply.refusal:
                return reply
        met = [one for one in replies if one.tls and not one.tls.startswith("error")]
        return (met or replies)[0]
