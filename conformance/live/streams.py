"""Streams through the API: commands in containers, and tunnels to ports of pods.

The client library's own helpers swap a method of a shared client, connect
without a limit, and call a tunnel to a closed port open. So the websocket is
spoken here, one connection per stream, every step within one deadline.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import struct
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
    from collections.abc import Callable, Iterator

    from conformance.live.reach import Reach

_STDOUT, _STDERR, _STATUS = 1, 2, 3  # channels of exec
_DATA, _ERROR = 0, 1  # channels of a tunnel; the first frame of each names the port
_CAP = 4 * 1024 * 1024
_CHUNK = 32 * 1024
_IDLE = 2.0  # seconds of silence after which a near end that wrote its last is taken for gone


def exec_(
    reach: Reach,
    namespace: str,
    pod: str,
    command: list[str],
    container: str = "",
    limit: float = LIMITS.probe,
) -> dict[str, Any]:
    """Run a command in a container; return `stdout`, `stderr`, `code` and `failure`.

    `code` is None where the command did not start; `failure` then says why. Bytes
    that are no UTF-8 are replaced.

    Raises:
        LookError: `forbidden`, `not-found`, `timeout` (the command may still run),
            `partial` (no status at the end), `malformed` (more than 4 MiB).
    """
    asked: list[tuple[str, str]] = [("command", one) for one in command]
    asked += [("stdout", "true"), ("stderr", "true")]
    if container:
        asked.append(("container", container))
    channels: dict[int, bytearray] = {}
    with _Socket.open(reach, namespace, pod, "exec", asked, time.monotonic() + limit) as stream:
        for channel, data in stream.frames():
            channels.setdefault(channel, bytearray()).extend(data)
            if sum(map(len, channels.values())) > _CAP:
                raise LookError("malformed", f"{command[0]} wrote more than {_CAP} bytes")
    if not channels.get(_STATUS):
        raise LookError("partial", f"the stream of {command[0]} ended without its exit status")
    code, failure = _ending(channels[_STATUS])
    return {
        "stdout": bytes(channels.get(_STDOUT, b"")).decode("utf-8", "replace"),
        "stderr": bytes(channels.get(_STDERR, b"")).decode("utf-8", "replace"),
        "code": code,
        "failure": failure,
    }


def _ending(status: bytearray) -> tuple[int | None, str]:
    try:
        said = json.loads(bytes(status))
        if said["status"] == "Success":
            return 0, ""
        causes = (said.get("details") or {}).get("causes") or ()
        codes = [one["message"] for one in causes if one.get("reason") == "ExitCode"]
        return (int(codes[0]) if codes else None), str(said.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LookError("malformed", "the exit status of the command cannot be read") from error


@dataclass
class Tunnel:
    """One TCP connection to a port of a pod: it lands on the pod's loopback.

    `refusal` is what the pod's node said of a connection that did not come about;
    `received` counts the bytes that came back.
    """

    reach: Reach
    namespace: str
    pod: str
    port: int
    deadline: float
    refusal: str = ""
    received: int = 0

    def carry(self, near: socket.socket, stop: socket.socket) -> None:
        """Carry bytes both ways until the far end closes, `stop` closes or the time is up.

        A near end that has finished writing goes on reading for as long as something
        comes: the protocol has no half-close, so the far end cannot be told. Afterwards
        `near` is closed, by a reset where the far end could not be reached.

        Raises:
            LookError: `unreachable` where nothing listens, and as `exec_` otherwise.
        """
        asked = [("ports", str(self.port))]
        try:
            with _Socket.open(
                self.reach, self.namespace, self.pod, "portforward", asked, self.deadline
            ) as far:
                self._pump(far, near, stop)
        except LookError as error:
            self.refusal = self.refusal or error.message
            raise
        finally:
            if self.refusal:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            near.close()

    def _pump(self, far: _Socket, near: socket.socket, stop: socket.socket) -> None:
        named: set[int] = set()
        writing = True
        while True:
            ready = far.wait((near, stop) if writing else (stop,), None if writing else _IDLE)
            if stop in ready or not ready:
                return
            if near in ready:
                data = _received(near)
                writing = bool(data)
                if data:
                    far.send(bytes([_DATA]) + data)
            if far.tcp in ready and not self._bring(far, near, named):
                return

    def _bring(self, far: _Socket, near: socket.socket, named: set[int]) -> bool:
        """Bring one message from the far end; say whether there may be more."""
        frame = far.frame()
        if frame is None:
            return False
        channel, data = frame
        if channel not in named:
            named.add(channel)
        elif channel == _DATA:
            self.received += len(data)
            try:
                near.settimeout(far.left())
                near.sendall(data)
            except OSError:  # the near end has gone: nobody wants the rest
                return False
        elif channel == _ERROR and data and not self.received:
            said = data.decode("utf-8", "replace").strip()
            raise LookError("unreachable", f"port {self.port} of {self.pod}: {said}")
        return True


@dataclass
class _Socket:
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
    ) -> _Socket:
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
        return self

    def __exit__(self, *_: object) -> None:
        self.web.shutdown()  # type: ignore[no-untyped-call]

    @property
    def tcp(self) -> socket.socket:
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
        while (frame := self.frame()) is not None:
            if frame[0] >= 0:
                yield frame


def _received(near: socket.socket) -> bytes:
    try:
        return near.recv(_CHUNK)
    except OSError:  # reset: as good as finished
        return b""


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


PROBES: dict[str, Callable[..., Any]] = {"exec": exec_}
