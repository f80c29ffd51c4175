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
from conformance.live.kubernetes import kind_of_status
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from conformance.live.reach import Reach


@dataclass
class Channels:
    """A websocket of the API, read and written within one deadline."""

    web: websocket.WebSocket
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
        client = reach.client
        settings = client.configuration
        headers: dict[str, str] = {}
        client.update_params_for_auth(headers, [], ["BearerToken"])
        path = f"/api/v1/namespaces/{quote(namespace, '')}/pods/{quote(pod, '')}/{what}"
        url = f"{settings.host}{path}?{urlencode(asked)}".replace("http", "ws", 1)
        web = websocket.WebSocket(sslopt=_tls(settings), skip_utf8_validation=True)
        stream = cls(web, deadline)
        try:
            web.connect(  # type: ignore[no-untyped-call]
                url,
                header=headers,
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
                f"{message}: {_message(said)}",
                {"status": error.status_code},
            ) from error
        except (websocket.WebSocketTimeoutException, TimeoutError) as error:
            raise LookError("timeout", f"the API did not begin {what} in time") from error
        except (websocket.WebSocketException, OSError) as error:
            raise LookError("unreachable", f"the API did not begin {what}: {error}") from error
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
        return self.web.sock

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
        self.web.settimeout(self.left())
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
        return said[:200]
