"""Probes of Redis and Sentinel: commands in, the server's own words out.

A client of redis-py greets, logs in, retries and shortens errors by itself. Here
only its connection and its parser are used, so that a transcript holds what was
sent and what the server answered, and nothing that a client made of it.
"""

from __future__ import annotations

import re
import secrets
import ssl
import time
from typing import TYPE_CHECKING, Any

import redis
from redis._parsers.resp2 import _RESP2Parser

from conformance.evidence import Json, LookError
from conformance.live import disruption, routes
from conformance.redaction import described
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from conformance.live.reach import Reach

_CAP = 4 * 1024 * 1024  # bytes of one transcript; INFO has a few thousand
_HASH = re.compile(r"#[0-9a-f]{64}")  # how ACL LIST shows a password
_TURNED_AWAY = ("DENIED ", "ERR max number of clients")  # said once, and the server hangs up
_SECRET = frozenset(
    {"requirepass", "masterauth", "tls-key-file-pass", "tls-client-key-file-pass", "sentinel-pass"}
)


def session(
    reach: Reach,
    server: dict[str, Any],
    commands: Sequence[Sequence[str]],
    credential: str = "",
    auth: str = "right",
    danger: str = "read-only",
    deadline: float = 0.0,
) -> dict[str, Json]:
    """Send commands over one connection; return the transcript.

    `server` has `port`, and either `pod` (its namespace, name and ip) or `service`.
    `auth` is `right` (the credential's user and password), `wrong` (its user, a
    made-up password) or `none`. The transcript has the route, whether it was TLS,
    the answers to a first PING (`greeting`), to AUTH (`auth`, null where none was
    sent) and to each command (`replies`): `{"value": ...}` or `{"error": text}`.
    A refusal is an answer (one by which the server turns the whole connection away
    stands for all of them); passwords and their hashes are not shown. All of it ends
    by `deadline` (of the monotonic clock), if not given within the limit of a probe.

    Raises:
        LookError: `not-enabled` where the run does not allow `danger`, or why
            there is no whole transcript.
    """
    if danger == "disruptive":
        disruption.demand(reach)
    elif danger != "read-only":
        reach.demand(danger)
    sent = list(commands)
    if auth != "none":
        parts = reach.credentials.find(credential)
        password = parts["password"] if auth == "right" else secrets.token_hex(16)
        sent.insert(0, ["AUTH", *filter(None, [parts.get("user")]), password])
    with _dialled(reach, **server) as (host, port, route):
        tls, greeting, replies = _converse(
            host, port, sent, deadline or time.monotonic() + LIMITS.probe
        )
    pairs = zip(sent, replies, strict=True)
    shown = [_shown(reach, words, reply) for words, reply in pairs]
    return {
        "route": route,
        "tls": tls,
        "greeting": greeting,
        "auth": shown.pop(0) if auth != "none" else None,
        "replies": shown,
    }


def sessions(
    reach: Reach,
    times: int,
    **arguments: Any,  # noqa: ANN401 - those of `session`
) -> list[dict[str, Json]]:
    """Return the transcripts of several sessions, each over a connection of its own.

    Together they may take as long as one.
    """
    deadline = time.monotonic() + LIMITS.probe
    return [session(reach, **arguments, deadline=deadline) for _ in range(times)]


def _dialled(
    reach: Reach, port: int, pod: dict[str, str] | None = None, service: str = ""
) -> AbstractContextManager[routes.Door]:
    return routes.dial(reach, pod, port) if pod else routes.dial_service(reach, service, port)


class _TooLongError(Exception):
    """The server sent more than the cap. No OSError, which redis-py would swallow."""


class _Limited:
    """A socket that knows a total deadline and a cap of bytes."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._left = _CAP

    def recv(self, size: int) -> bytes:
        data = self._in_time().recv(size)
        self._left -= len(data)
        if self._left < 0:
            raise _TooLongError
        return data

    def sendall(self, data: bytes) -> None:
        self._in_time().sendall(data)

    def _in_time(self) -> socket.socket:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - shutdown, close and the like
        return getattr(self._sock, name)


class _Verbatim(_RESP2Parser):
    """Keeps an error's first word, by which a refusal is recognised."""

    @classmethod
    def parse_error(cls, response: str) -> redis.ResponseError:
        return redis.ResponseError(response)


class _Connection(redis.Connection):
    """A connection that sends nothing by itself."""

    def __init__(self, host: str, port: int, deadline: float, *, tls: bool) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            host, port, parser_class=_Verbatim, socket_connect_timeout=LIMITS.connect, protocol=2
        )
        self._deadline = deadline
        self._tls = tls

    def _connect(self) -> Any:  # noqa: ANN401 - stands for a socket
        sock = super()._connect()  # type: ignore[no-untyped-call]
        return _Limited(_wrapped(sock) if self._tls else sock, self._deadline)

    def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002
        self._parser.on_connect(self)


def _wrapped(sock: socket.socket) -> socket.socket:
    """Begin TLS; whom the certificate names is for other controls to judge."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock)


def _converse(
    host: str, port: int, commands: Sequence[Sequence[str]], deadline: float
) -> tuple[bool, Json, list[Json]]:
    """Return whether it was TLS, the answer to PING, and the answers to the commands.

    The PING goes first because it tells a port that speaks TLS, which hangs up on
    it, before a password is sent.
    """
    silence = ""
    for tls in (False, True):
        connection = _Connection(host, port, deadline, tls=tls)
        began = False
        try:
            connection.connect()  # type: ignore[no-untyped-call]
            greeting = _exchange(connection, ["PING"])
            began = True
            if greeting.get("error", "").startswith(_TURNED_AWAY):
                return tls, greeting, [dict(greeting) for _ in commands]
            return tls, greeting, [_exchange(connection, words) for words in commands]
        except redis.TimeoutError as error:
            raise LookError("timeout", f"Redis did not answer in time: {error}") from error
        except redis.ConnectionError as error:
            if began:
                message = f"Redis closed the connection half-way: {error}"
                raise LookError("partial", message) from error
            silence += f"; in TLS: {error}" if tls else str(error)
            if isinstance(error.__context__, ConnectionRefusedError):
                break
        except _TooLongError as error:
            raise LookError("malformed", f"more than {_CAP} bytes of answers") from error
        except (redis.RedisError, ValueError, RecursionError) as error:
            raise LookError("malformed", f"the port does not speak Redis: {error}") from error
        finally:
            connection.disconnect()  # type: ignore[no-untyped-call]
    raise LookError("unreachable", f"the port gives no answer: {silence}")


def _exchange(connection: _Connection, words: Sequence[str]) -> Json:
    connection.send_command(*words, check_health=False)  # type: ignore[no-untyped-call]
    try:
        return {"value": _text(connection.read_response(disable_decoding=True))}
    except redis.ResponseError as error:
        return {"error": str(error)}


def _text(value: Any) -> Json:  # noqa: ANN401 - what redis-py yields
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return [str(one) if isinstance(one, Exception) else _text(one) for one in value]
    return value


def _shown(reach: Reach, words: Sequence[str], reply: Json) -> Json:
    value = reply.get("value")
    if not isinstance(value, list):
        return reply
    if [one.upper() for one in words[:2]] == ["CONFIG", "GET"]:
        secret = [name in _SECRET for name in value[::2]]
        value[1::2] = [
            _hidden(reach, one) if hide else one
            for one, hide in zip(value[1::2], secret, strict=True)
        ]
    return {"value": [_HASH.sub("#***", one) if isinstance(one, str) else one for one in value]}


def _hidden(reach: Reach, secret: str) -> str:
    reach.redactor.learn(secret)
    return described(secret) if secret else ""


PROBES: dict[str, Callable[..., Any]] = {"session": session, "sessions": sessions}
