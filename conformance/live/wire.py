"""The first bytes of a protocol, and what came back. What that means is the view's matter."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any

from conformance.evidence import LookError
from conformance.live import routes
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.live.reach import Reach

_CAP = 4096  # bytes of an answer that are kept; more are not read
_QUIET = 0.1  # seconds without a further byte after which an answer is taken for whole
_REFUSALS = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "no route",
    errno.ENETUNREACH: "no route",
    errno.ECONNRESET: "reset",
}


def say(
    reach: Reach,
    port: int,
    sent: str,
    pod: dict[str, Any] | None = None,
    service: str = "",
    tls: bool = False,  # noqa: FBT001, FBT002 - probes take JSON by name
    route: str = "",
) -> dict[str, Any]:
    """Connect to a port of a pod or of a Service, say `sent` (hex digits), and listen.

    With `tls` the bytes are said in TLS, whoever answers: no certificate is checked.
    `route` is the way to a pod, where it is not to be the run's own.

    Returns:
        `route`; `connected`; `refusal` (of the connection: refused, timeout, no route,
        reset, no such name); `tls` (the version, or `error: ...`, empty without TLS);
        `received` (at most 4096 bytes, as Latin-1); `closed` and `reset` (how the far
        end ended it); `seconds`.

    Raises:
        LookError: where there is no way to the port.
    """
    began = time.monotonic()
    seen: dict[str, Any] = {
        "connected": False,
        "refusal": "",
        "tls": "",
        "received": "",
        "closed": False,
        "reset": False,
    }
    with _door(reach, port, pod, service, route) as door:
        seen["route"] = door.route
        deadline = began + LIMITS.probe
        stream = _connected(door, seen)
        if stream is not None:
            with closing(stream):
                wrapped = _wrapped(stream, seen, deadline) if tls else stream
                if wrapped is not None:
                    with closing(wrapped):
                        _exchange(wrapped, bytes.fromhex(sent), seen, deadline)
    seen["seconds"] = round(time.monotonic() - began, 3)
    return seen


def _door(
    reach: Reach, port: int, pod: dict[str, Any] | None, service: str, route: str
) -> AbstractContextManager[routes.Door]:
    if pod is not None:
        return routes.dial(reach, pod, port, route=route)
    return routes.dial_service(reach, service, port)


def _connected(door: routes.Door, seen: dict[str, Any]) -> socket.socket | None:
    try:
        stream = socket.create_connection((door.host, door.port), LIMITS.connect)
    except socket.gaierror:
        seen["refusal"] = "no such name"
    except TimeoutError:
        seen["refusal"] = "timeout"
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise LookError("unreachable", f"{door.host}:{door.port}: {error}") from error
        seen["refusal"] = _REFUSALS[error.errno]
    else:
        seen["connected"] = True
        return stream
    return None


def _wrapped(stream: socket.socket, seen: dict[str, Any], deadline: float) -> ssl.SSLSocket | None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    stream.settimeout(max(deadline - time.monotonic(), 0.1))
    try:
        wrapped = context.wrap_socket(stream)
    except TimeoutError:
        seen["tls"] = "error: no answer in time"
    except ssl.SSLError as error:
        seen["tls"] = f"error: {error.reason or error}"
    except OSError as error:
        seen["tls"] = f"error: {error.strerror or error}"
        seen["reset"] = isinstance(error, ConnectionResetError)
    else:
        seen["tls"] = wrapped.version() or ""
        return wrapped
    return None


def _exchange(stream: socket.socket, words: bytes, seen: dict[str, Any], deadline: float) -> None:
    data = bytearray()
    try:
        stream.settimeout(max(deadline - time.monotonic(), 0.1))
        stream.sendall(words)
        while len(data) < _CAP:
            rest = deadline - time.monotonic()
            stream.settimeout(max(min(_QUIET, rest) if data else rest, 0.05))
            chunk = stream.recv(_CAP - len(data))
            if not chunk:
                seen["closed"] = True
                break
            data += chunk
    except TimeoutError:  # silence: nothing more, or nothing at all
        pass
    except (ConnectionResetError, BrokenPipeError):
        seen["reset"] = True
    except ssl.SSLError:  # the far end ended the session by an alert
        seen["closed"] = True
    seen["received"] = bytes(data).decode("latin-1")


PROBES: dict[str, Callable[..., Any]] = {"say": say}
