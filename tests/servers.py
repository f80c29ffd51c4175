"""A shelf of hostile servers on the loopback, and what an attack may cost.

Each behaviour is a function of one accepted connection; it returns to close it.
Loops end when the client goes or the server is stopped.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PACE = 0.1  # seconds between two bytes of a drip; far below every limit on a single byte
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@dataclass
class Server:
    """A running server: where it listens, and every byte that it was sent."""

    port: int
    heard: bytearray = field(default_factory=bytearray)
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)


@dataclass
class Line:
    """One accepted connection."""

    conn: socket.socket
    server: Server
    asked: bool = False

    def hear(self) -> bytes:
        """Return the next bytes that the client says, none at its end."""
        data = self.conn.recv(65536)
        self.server.heard += data
        self.asked = bool(data)
        return data

    def say(self, data: bytes) -> None:
        """Send all of it."""
        self.conn.sendall(data)

    def answer(self, data: bytes) -> None:
        """Hear a request, unless it has been heard, then send."""
        if not self.asked:
            self.hear()
        self.say(data)

    def wait(self, seconds: float) -> bool:
        """Let time pass; say whether to go on."""
        return not self.server.stopped.wait(seconds)


Behaviour = Callable[[Line], None]


@contextmanager
def serving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve on a free port of the loopback until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1])

        def talk(conn: socket.socket) -> None:
            with suppress(OSError), conn:
                conn.settimeout(10)
                with tls.wrap_socket(conn, server_side=True) if tls else conn as line:
                    behave(Line(line, server))

        def accept() -> None:
            with suppress(OSError):
                while not server.stopped.is_set():
                    conn, _ = listener.accept()
                    server.connections += 1
                    threading.Thread(target=talk, args=(conn,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def silent(line: Line) -> None:
    """Accept, and say nothing."""
    line.wait(30)


def saying(data: bytes, *, first: bytes = b"") -> Behaviour:
    """Answer every request with the same bytes, whoever asks; `first` before any."""

    def behave(line: Line) -> None:
        if first:
            line.say(first)
        while line.hear():
            line.say(data)

    return behave


def hanging_up(line: Line) -> None:
    """Hear the request, and reset the connection."""
    line.hear()
    line.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def dripping(data: bytes, head: bytes = b"") -> Behaviour:
    """Send `head` at once, then `data` byte by byte, again and again."""

    def behave(line: Line) -> None:
        line.answer(head)
        while True:
            for one in data:
                line.say(bytes([one]))
                if not line.wait(PACE):
                    return

    return behave


def flooding(data: bytes, head: bytes = b"") -> Behaviour:
    """Send `head`, then `data` without end."""

    def behave(line: Line) -> None:
        line.answer(head)
        while not line.server.stopped.is_set():
            line.say(data)

    return behave


def cut(body: bytes, *, reset: bool = False) -> Behaviour:
    """Promise more than `body`, and end after it."""

    def behave(line: Line) -> None:
        line.answer(OK + b"Content-Length: %d\r\n\r\n" % (len(body) + 1000) + body)
        if reset:
            line.wait(PACE)  # so that the body arrives before the reset
            line.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


def reply(body: Any, status: str = "200 OK", **headers: str) -> bytes:
    """Return a whole HTTP answer. `body` is JSON, or bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def scripted(*answers: bytes | Behaviour) -> Behaviour:
    """Give one answer a request, in this order over all connections; the last one again."""
    left = list(answers)
    lock = threading.Lock()

    def behave(line: Line) -> None:
        while line.hear():
            with lock:
                now = left.pop(0) if len(left) > 1 else left[0]
            if not isinstance(now, bytes):
                now(line)
                return
            line.say(now)

    return behave


def bomb() -> bytes:
    """Return an answer of about 200 kB that would be 200 MB."""
    return reply(gzip.compress(bytes(200_000_000), 1), Content_Encoding="gzip")


def alerting(line: Line) -> None:
    """Answer a TLS greeting with warnings without end."""
    flooding(bytes.fromhex("15 03 03 00 02 01 5a"))(line)


@cache
def certificate(folder: Path, names: int = 1, days: int = 30) -> ssl.SSLContext:
    """Return a server's TLS context: self-signed for 127.0.0.1 and `names`, ends in `days`.

    The certificate itself is left in `folder`/ca.pem.
    """
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hostile")])
    now = dt.datetime.now(dt.UTC)
    listed: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    listed += [x509.DNSName(f"name{n}.example") for n in range(names)]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=60))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(listed), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "ca.pem").write_bytes(pem)
    (folder / "both.pem").write_bytes(pem + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


@dataclass
class Cost:
    """What something took: `seconds`, and `memory` in bytes beyond what there was."""

    seconds: float = 0.0
    memory: int = 0


@contextmanager
def costing() -> Iterator[Cost]:
    """Measure the block by the process's own peak of resident memory."""
    cost = Cost()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _memory("VmRSS")
    began = time.monotonic()
    try:
        yield cost
    finally:
        cost.seconds = time.monotonic() - began
        cost.memory = _memory("VmHWM") - before


def _memory(what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024
