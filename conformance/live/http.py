"""HTTP as the suite needs it: one deadline for all of an exchange, a cap of bytes, no surprises.

urllib3's own limits start anew with every byte that comes: a server that drips
its headers is waited for as long as it likes. Here the connection itself is shut
down when the time is up, at whatever step it is.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from threading import Lock, Timer, local
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import urllib3

from conformance.evidence import LookError
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Mapping

CAP = 12 * 1024 * 1024
_CHUNK = 64 * 1024
_this_thread = local()


class TooLargeError(LookError):
    """An answer passed the cap of bytes."""


class Response(NamedTuple):
    """A whole answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def fetch(
    manager: urllib3.PoolManager,
    method: str,
    url: str,
    headers: Mapping[str, str],
    deadline: float,
    body: bytes | None = None,
) -> Response:
    """Send one request and read the whole answer; follow no redirect, retry nothing.

    Raises:
        LookError: `timeout` past `deadline` (of the monotonic clock), `unreachable`,
            `partial`, `malformed` where it is no HTTP, compressed, or past the cap.
    """
    manager.pool_classes_by_scheme = _POOLS
    with Watch(deadline) as watch:
        try:
            response = manager.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=LIMITS.connect, read=LIMITS.probe),
                preload_content=False,
                redirect=False,
                retries=False,
            )
            data = _read(response)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if watch.rang:
                raise LookError("timeout", "the answer took longer than its limit") from error
            if isinstance(error, LookError):
                raise
            kind, said = _meaning(error)
            raise LookError(kind, f"{said}: {error}") from error
        if watch.rang:  # what was read may be half of it
            raise LookError("timeout", "the answer took longer than its limit")
    return Response(response.status, response.headers, data)


def _meaning(error: Exception) -> tuple[str, str]:
    cause = error.args[-1] if error.args else error
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # also a kind of timeout
        return "unreachable", "there is no connection"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "timeout", "there was no answer in time"
    stopped = isinstance(cause, RemoteDisconnected | IncompleteRead)
    if isinstance(cause, HTTPException) and not stopped:
        return "malformed", "what answers does not speak HTTP"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "partial", "the answer stopped half-way"
    return "unreachable", "there is no connection"


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    """Read all of the body. A compressed one is refused: none was asked for."""
    encoding = response.headers.get("Content-Encoding", "identity")
    chunks: list[bytes] = []
    size = 0
    whole = False
    try:
        while encoding == "identity" and size <= CAP and not whole:
            chunks.append(response.read1(_CHUNK, decode_content=False))
            size += len(chunks[-1])
            whole = not chunks[-1]
    finally:
        if whole:
            response.release_conn()
        else:
            response.close()  # what is left of it must not be taken for the next answer
    if encoding != "identity":
        raise LookError("malformed", f"the answer is encoded as {encoding[:40]}")
    if size > CAP:
        chunks.clear()  # the error outlives this call, and holds on to it
        raise TooLargeError("malformed", f"the answer is larger than {CAP} bytes")
    return b"".join(chunks)


class Watch:
    """Shuts down the connections that this thread uses, once `deadline` (monotonic) has come.

    Ask `rang` afterwards: a connection that was shut down looks like one that
    the server ended, and what was read so far like all there is.
    """

    def __init__(self, deadline: float) -> None:
        """Watch nothing yet."""
        self.rang = False
        self._lock = Lock()
        self._line: socket.socket | None = None
        self._timer = Timer(max(deadline - time.monotonic(), 0), self._ring)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Begin."""
        _this_thread.watch = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the connection."""
        _this_thread.watch = None
        self._timer.cancel()
        self._hold(None)

    def over(self, connected: socket.socket) -> None:
        """Watch this connection from now on, also when it is wrapped in TLS or handed on."""
        self._hold(socket.socket(fileno=os.dup(connected.fileno())))

    def _hold(self, line: socket.socket | None) -> None:
        with self._lock:
            if self._line is not None:
                self._line.close()
            self._line = line
        if self.rang:
            self._ring()

    def _ring(self) -> None:
        with self._lock, contextlib.suppress(OSError):  # it may have ended by itself
            self.rang = True
            if self._line is not None:
                self._line.shutdown(socket.SHUT_RDWR)


class _Watched:
    """Shows its socket to the thread's watch when it is made, and when it is used again."""

    sock: Any = None

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]
        _show(made)
        return made

    def request(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - urllib3's
        if self.sock is not None:
            _show(self.sock)
        super().request(*arguments, **named)  # type: ignore[misc]


def _show(connected: socket.socket) -> None:
    watch: Watch | None = getattr(_this_thread, "watch", None)
    if watch is not None:
        watch.over(connected)


class _Connection(_Watched, urllib3.connection.HTTPConnection):
    pass


class _TlsConnection(_Watched, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}
