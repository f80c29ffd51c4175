"""The suite's own instruments, held against something that is known."""

from __future__ import annotations

import datetime as dt
import secrets
import socket
import ssl
import struct
import tempfile
import threading
import time
import warnings
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conformance.evidence import LookError
from conformance.live import kubernetes, routes
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.live.reach import Reach

_SAMPLES, _APART = 5, 0.23  # not a divisor of a second: headers tick at different places
_VERSIONS = ("TLSv1", "TLSv1_1", "TLSv1_2")


def clock(reach: Reach) -> list[dict[str, Any]]:
    """Ask the API for the time, some times over about a second.

    Returns for each: local time `before` and `after` (seconds since the epoch), and
    the `date` that the answer's header says (seconds since the epoch, whole ones).
    """
    samples = []
    for number in range(_SAMPLES):
        if number:
            time.sleep(_APART)
        before = time.time()
        header = kubernetes.exchange(reach, "GET", "/version")["date"]
        after = time.time()
        try:
            date = int(parsedate_to_datetime(header).timestamp())
        except ValueError as error:
            raise LookError("malformed", f"the API's Date header is {header!r}") from error
        samples.append({"before": before, "date": date, "after": after})
    return samples


def tls(reach: Reach) -> dict[str, str]:  # noqa: ARG001 - a probe like the others
    """Let this runner's TLS client talk to a server of its own, on this machine.

    Returns for each version of TLS what both agreed on, or the error.
    """
    with _server() as (port, context):
        return {version: _spoken(port, context, version) for version in _VERSIONS}


def names(reach: Reach, service: str, name: str) -> dict[str, Any]:
    """Ask the DNS server that is the Service `namespace/name` for the addresses of a name.

    Returns the response code (0 found, 3 no such name), the IPv4 `addresses` and the
    `route`. Asked over TCP, which routes can carry.
    """
    query = _query(name)
    with routes.dial_service(reach, service, 53) as door:
        try:
            with socket.create_connection((door.host, door.port), LIMITS.connect) as stream:
                stream.settimeout(LIMITS.connect)
                stream.sendall(struct.pack(">H", len(query)) + query)
                size = struct.unpack(">H", _exactly(stream, 2))[0]
                answer = _exactly(stream, size)
        except LookError:  # a kind of OSError, and already told
            raise
        except TimeoutError as error:
            raise LookError("timeout", f"{service} does not answer a DNS query in time") from error
        except OSError as error:
            raise LookError("unreachable", f"{service} cannot be asked: {error}") from error
    if answer[:2] != query[:2]:
        raise LookError("malformed", f"{service} answered another query")
    return {"code": answer[3] & 0x0F, "addresses": _addresses(answer), "route": door.route}


def _query(name: str) -> bytes:
    labels = b"".join(bytes([len(one)]) + one for one in name.rstrip(".").encode().split(b"."))
    header = secrets.token_bytes(2) + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack(">HH", 1, 1)


def _addresses(answer: bytes) -> list[str]:
    """Read the A records of an answer to one question."""
    count = struct.unpack_from(">H", answer, 6)[0]
    found = []
    try:
        place = _past_name(answer, 12) + 4
        for _ in range(count):
            place = _past_name(answer, place)
            kind, _, _, size = struct.unpack_from(">HHIH", answer, place)
            data = answer[place + 10 : place + 10 + size]
            if kind == 1:
                found.append(socket.inet_ntoa(data))
            place += 10 + size
    except (struct.error, IndexError, OSError) as error:
        raise LookError("malformed", "the DNS answer cannot be read") from error
    return sorted(found)


def _past_name(answer: bytes, place: int) -> int:
    while (size := answer[place]) != 0:
        if size >= 0xC0:  # noqa: PLR2004 - a pointer to a name that stood before ends this one
            return place + 2
        place += size + 1
    return place + 1


def _exactly(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = stream.recv(size - len(data))
        if not chunk:
            raise LookError("partial", "the DNS answer stopped half-way")
        data += chunk
    return data


@contextmanager
def _server() -> Iterator[tuple[int, ssl.SSLContext]]:
    """Run a TLS server for as long as the block lasts; yield its port and its settings."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        Path(file.name).write_bytes(_certificate())
        context.load_cert_chain(file.name)
    context.set_ciphers("ALL:@SECLEVEL=0")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:  # closed
                return
            near.settimeout(LIMITS.connect)
            try:
                with context.wrap_socket(near, server_side=True) as stream:
                    stream.sendall(b"well")
            except OSError:
                near.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], context
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(LIMITS.connect)


def _spoken(port: int, server: ssl.SSLContext, version: str) -> str:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point
        for one in (server, client):
            one.minimum_version = one.maximum_version = ssl.TLSVersion[version]
    try:
        with (
            socket.create_connection(("127.0.0.1", port), LIMITS.connect) as stream,
            client.wrap_socket(stream) as secured,
        ):
            secured.settimeout(LIMITS.connect)
            return (secured.version() or "none") if secured.recv(4) == b"well" else "no data"
    except OSError as error:
        return f"error: {error}"


def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "conformance self-check")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + made.public_bytes(serialization.Encoding.PEM)


PROBES: dict[str, Callable[..., Any]] = {"clock": clock, "tls": tls, "names": names}
