"""A websocket of the API: channels of bytes, every step within one deadline.

The client library's own helpers swap a method of a shared client and connect
without a limit. So the websocket is opened here, one for each stream.
"""

from __future__ import annotations

import json
import select
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode

import urllib3
import websocket

from conformance.evidence import LookError
from conformance.live.kubernetes import authorization, kind_of_status
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from conformance.live.reach import Reach

_LARGEST = 1024 * 1024  # bytes of one message; the API sends at most 32 kB
_LARGEST_GREETING = 64 * 1024


class _Line:
    """The socket below: it is read until a deadline, and no further than a budget of bytes.

    The library's limit begins anew with every byte, and it believes any length.
    """

    def __init__(self, connected: socket.socket, web: _Bounded) -> None:
        self._connected = connected
        self._web = web

    def recv(self, size: int) -> bytes:
        rest = self._web.deadline - time.monotonic()
        if rest <= 0:
            raise TimeoutError
        self._connected.settimeout(rest)
        data = self._connected.recv(size)
        self._web.budget -= len(data)
        if self._web.budget < 0:
            raise websocket.WebSocketPayloadException("more bytes than any message has")
        return data

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - sending, closing and the like
        return getattr(self._connected, name)


class _Bounded(websocket.WebSocket):
    """A websocket with a deadline for all of it, and a `budget` of bytes for the next message."""

    def __init__(self, deadline: float, sslopt: dict[str, Any]) -> None:
        self.deadline = deadline
        self.budget = _LARGEST_GREETING
        self._line: _Line | None = None
        super().__init__(sslopt=sslopt, skip_utf8_validation=True)

    @property
    def sock(self) -> Any:  # noqa: ANN401 - stands for a socket
        return self._line

    @sock.setter
    def sock(self, connected: socket.socket | None) -> None:
        self._line = None if connected is None else _Line(connected, self)


@dataclass
class Channels:
    """A websocket of the API, read and written within one deadline."""

    web: _Bounded
    deadline: float

    @classmethod
    def open(
        cls,
        reach: Reach,
        namespace: str,
        pod: str,
        what: str,
        asked: list[tuple[str, str]],
        deadline: float,
    ) -> Channels:
        """Begin a stream (`exec`, `portforward`) of a pod.

        Raises:
            LookError: with the kind of the API's refusal, `timeout` or `unreachable`.
        """
        settings = reach.client.configuration
        path = f"/api/v1/namespaces/{quote(namespace, '')}/pods/{quote(pod, '')}/{what}"
        url = f"{settings.host}{path}?{urlencode(asked)}".replace("http", "ws", 1)
        web = _Bounded(deadline, _tls(settings))
        stream = cls(web, deadline)
        try:
            web.connect(  # type: ignore[no-untyped-call]
                url,
                header=authorization(reach),
                subprotocols=["v4.channel.k8s.io"],
                timeout=min(LIMITS.connect, stream.left()),
                suppress_origin=True,
                redirect_limit=0,
                **_proxy(settings),
            )
        except websocket.WebSocketBadStatusException as error:
            said = (error.resp_body or b"").decode("utf-8", "replace")
            message = f"the API answered {error.status_code} to {what} of {namespace}/{pod}"
            raise LookError(
                kind_of_status(error.status_code),
                f"{message}: {reach.redactor.text(_message(said))[:300]}",
                {"status": error.status_code},
            ) from error
        except (websocket.WebSocketTimeoutException, TimeoutError) as error:
            raise LookError("timeout", f"the API did not begin {what} in time") from error
        except (websocket.WebSocketException, OSError, ValueError) as error:
            said = reach.redactor.text(str(error))[:300]
            raise LookError("unreachable", f"the API did not begin {what}: {said}") from error
        return stream

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.web.shutdown()  # type: ignore[no-untyped-call]

    @property
    def tcp(self) -> socket.socket:
        """Return the connection below."""
        if self.web.sock is None:
            raise LookError("partial", "the stream was closed half-way")
        below: socket.socket = self.web.sock
        return below

    def left(self) -> float:
        """Return the seconds until the deadline, at least a tenth of one."""
        rest = self.deadline - time.monotonic()
        if rest <= 0:
            raise LookError("timeout", "the stream took longer than its limit")
        return max(rest, 0.1)

    def wait(
        self, others: tuple[socket.socket, ...], patience: float | None = None
    ) -> tuple[socket.socket, ...]:
        """Return those of this socket and the others that can be read.

        None of them where `patience` seconds have passed. Past the deadline: `timeout`.
        """
        pending = getattr(self.tcp, "pending", int)()  # what TLS has decrypted, poll cannot see
        watch = select.poll()
        known = {one.fileno(): one for one in (self.tcp, *others)}
        for number in known:
            watch.register(number, select.POLLIN)
        rest = self.left() if patience is None else min(patience, self.left())
        ready = {known[number] for number, _ in watch.poll(0 if pending else rest * 1000)}
        if pending:
            ready.add(self.tcp)
        if not ready and patience is None:
            raise LookError("timeout", "the stream took longer than its limit")
        return tuple(ready)

    def send(self, data: bytes) -> None:
        """Send one message; its first byte is the channel."""
        self.web.settimeout(self.left())
        try:
            self.web.send_binary(data)
        except (websocket.WebSocketException, OSError) as error:
            raise LookError("partial", f"the stream broke: {error}") from error

    def frame(self) -> tuple[int, bytes] | None:
        """Return one message as channel and data; None at the end of the stream."""
        self.left()
        self.web.budget = _LARGEST
        try:
            code, frame = self.web.recv_data_frame(control_frame=True)
        except (websocket.WebSocketTimeoutException, TimeoutError) as error:
            raise LookError("timeout", "the stream took longer than its limit") from error
        except websocket.WebSocketConnectionClosedException:
            return None
        except (websocket.WebSocketException, OSError) as error:
            raise LookError("partial", f"the stream broke: {error}") from error
        if code == websocket.ABNF.OPCODE_CLOSE:
            return None
        data = bytes(frame.data) if frame and code == websocket.ABNF.OPCODE_BINARY else b""
        return (data[0], data[1:]) if data else (-1, b"")  # pings and empty frames: no channel

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Yield every message until the stream ends."""
        while (frame := self.frame()) is not None:
            if frame[0] >= 0:
                yield frame


def _tls(settings: Any) -> dict[str, Any]:  # noqa: ANN401 - the client library has no types
    given = {
        "ca_certs": settings.ssl_ca_cert,
        "certfile": settings.cert_file,
        "keyfile": settings.key_file,
        "server_hostname": settings.tls_server_name,
    }
    checks: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED}
    if not settings.verify_ssl:
        checks = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    return {**{key: one for key, one in given.items() if one}, **checks}


def _proxy(settings: Any) -> dict[str, Any]:  # noqa: ANN401 - the client library has no types
    if not settings.proxy:
        return {}
    proxy = urllib3.util.parse_url(settings.proxy)
    passed_by = (settings.no_proxy or "").split(",")
    return {
        "http_proxy_host": proxy.host,
        "http_proxy_port": proxy.port,
        "proxy_type": "http",
        "http_no_proxy": [one for one in passed_by if one],
    }


def _message(said: str) -> str:
    try:
        return str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        return said
