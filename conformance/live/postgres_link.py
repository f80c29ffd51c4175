"""One connection to a PostgreSQL server, with one deadline and one byte cap for all of it.

libpq's own functions are used below psycopg's cursor: it waits without a limit
and hides what a server said before a session stood. libpq's trace of the login
shows which method the server asked for and the SQLSTATE of a refusal, whatever
language the server speaks.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import struct
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any, Self

import psycopg
from psycopg import pq

from conformance.evidence import LookError
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Mapping

_CAP = 4 * 1024 * 1024  # of values
_WIRE_CAP = 6 * 1024 * 1024  # of values and what the protocol puts around them
_TCP_INFO = struct.Struct("=128xQ")  # of Linux, up to tcpi_bytes_received
_ASKED = re.compile(r"^B\t\d+\tAuthentication(\w+)(?:\t \"([\w-]+)\")?", re.MULTILINE)
_CODE = re.compile(r"^B\t\d+\tErrorResponse\t.* V \"(?:FATAL|ERROR)\" C \"(\w{5})\"", re.MULTILINE)
_METHODS = {"SASL": "scram-sha-256", "MD5Password": "md5", "CleartextPassword": "password"}
_SAID = re.compile(r"(?:FATAL|ERROR):\s+(.*)", re.DOTALL)
_BOOL, _JSON = 16, {114, 3802}
_NUMBERS = {20: int, 21: int, 23: int, 26: int, 700: float, 701: float}
_PARTS = {
    "sqlstate": pq.DiagnosticField.SQLSTATE,
    "severity": pq.DiagnosticField.SEVERITY_NONLOCALIZED,
    "message": pq.DiagnosticField.MESSAGE_PRIMARY,
    "context": pq.DiagnosticField.CONTEXT,
}
_FINE = {
    pq.ExecStatus.COMMAND_OK,
    pq.ExecStatus.TUPLES_OK,
    pq.ExecStatus.SINGLE_TUPLE,
    pq.ExecStatus.EMPTY_QUERY,
}


class RefusedError(Exception):
    """The server itself refused the login. `said` is its answer, as JSON.

    `sqlstate` is None where the server asked for a password that was not given
    (`message` says so), or where this libpq cannot tell.
    """

    def __init__(self, said: dict[str, Any]) -> None:
        """Keep what the server said."""
        super().__init__(said["message"])
        self.said = said


class Link:
    """A session. `asked` is the method by which the server had the client prove itself.

    `asked` is `nothing` where no password was asked for: then any would have done.
    """

    def __init__(self, settings: Mapping[str, str], limit: float) -> None:
        """Log in; `limit` is how long the link may live, in seconds.

        Raises:
            RefusedError: where the server said no.
            LookError: `timeout`, or `unreachable` where no server said anything.
        """
        self._deadline = time.monotonic() + limit
        self._received = 0
        info = " ".join(f"{key}={_quoted(value)}" for key, value in settings.items())
        with tempfile.TemporaryFile() as trace:
            self._connection = pq.PGconn.connect_start(info.encode())
            traced = self._traced(trace)
            try:
                stands = self._connect()
            except BaseException:
                self.close()
                raise
            finally:
                if traced:
                    self._connection.untrace()
            trace.seek(0)
            seen = trace.read(_CAP).decode("utf-8", "replace")
        if not stands:
            self._refuse(seen)
        self.asked = _method(seen) if self._connection.used_password else "nothing"
        self._connection.nonblocking = 1

    def _traced(self, trace: IO[bytes]) -> bool:
        try:
            self._connection.trace(trace.fileno())
            self._connection.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
        except psycopg.NotSupportedError:  # not on Linux: SQLSTATEs stay unknown
            return False
        return True

    def _connect(self) -> bool:
        if self._connection.status == pq.ConnStatus.BAD:
            return False
        waits: dict[int, int] = {
            pq.PollingStatus.READING: select.POLLIN,
            pq.PollingStatus.WRITING: select.POLLOUT,
        }
        until = min(self._deadline, time.monotonic() + LIMITS.connect)
        state: int = pq.PollingStatus.WRITING
        while state in waits:
            self._wait(waits[state], until)
            state = self._connection.connect_poll()
        return state == pq.PollingStatus.OK

    def _refuse(self, seen: str) -> None:
        message = self._connection.get_error_message().strip()
        said, code = _SAID.search(message), _CODE.search(seen)
        wanting = bool(self._connection.needs_password)
        self.close()
        if said is None and code is None and not wanting:
            raise LookError("unreachable", f"no PostgreSQL server answered: {message}")
        text = "a password is asked for" if wanting else said.group(1) if said else message
        raise RefusedError({"sqlstate": code.group(1) if code else None, "message": text.strip()})

    def __enter__(self) -> Self:
        """Return the link itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the link."""
        self.close()

    def close(self) -> None:
        """End the session; a transaction that is open is rolled back by the server."""
        self._connection.finish()

    @property
    def broken(self) -> bool:
        """Say whether the session has ended."""
        return self._connection.status != pq.ConnStatus.OK

    def run(self, sql: str) -> dict[str, Any]:
        """Send one statement; return its result or its error.

        `{"columns": [...], "rows": [[...]], "command": "UPDATE", "count": 1}`, where
        `count` is None for commands that count nothing, or `{"error": {"sqlstate",
        "severity", "message", "context"}}`.

        Raises:
            LookError: `timeout`, `partial` where the session ended in between, or
                `malformed` past the byte cap.
        """
        try:
            self._connection.send_query(sql.encode())
            self._connection.set_single_row_mode()
            return self._collect()
        except psycopg.OperationalError as error:
            raise LookError("partial", f"the session ended: {error}") from error

    def _collect(self) -> dict[str, Any]:
        found: dict[str, Any] = {"columns": [], "rows": [], "command": "", "count": None}
        while (result := self._next()) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                found = {"error": _error(result)}
                if self.broken and found["error"]["sqlstate"] is None:
                    message = result.get_error_message()
                    raise LookError("partial", f"the session ended: {message}")
            elif result.status not in _FINE:
                raise LookError(
                    "malformed", f"the server began a {pq.ExecStatus(result.status).name}"
                )
            elif "error" not in found:
                self._add(found, result)
        return found

    def _add(self, found: dict[str, Any], result: pq.abc.PGresult) -> None:
        names = range(result.nfields)
        found["columns"] = [(result.fname(i) or b"").decode("utf-8", "replace") for i in names]
        for row in range(result.ntuples):
            values = [result.get_value(row, i) for i in names]
            self._received += sum(len(one or b"") for one in values)
            if self._received > _CAP:
                raise LookError("malformed", f"the server sent more than {_CAP} bytes")
            kinds = [result.ftype(i) for i in names]
            found["rows"].append([_value(*pair) for pair in zip(values, kinds, strict=True)])
        if result.status != pq.ExecStatus.SINGLE_TUPLE:
            words = (result.command_status or b"").decode().split()
            found["command"] = " ".join(one for one in words if not one.isdigit())
            found["count"] = result.command_tuples

    def _next(self) -> pq.abc.PGresult | None:
        while self._connection.flush():
            self._take(select.POLLOUT | select.POLLIN)
        while self._connection.is_busy():
            self._take(select.POLLIN)
        return self._connection.get_result()

    def _take(self, event: int) -> None:
        """Wait, and let libpq read. It believes any length: the kernel counts what came."""
        self._wait(event, self._deadline)
        if _arrived(self._connection.socket) > _WIRE_CAP:
            raise LookError("malformed", f"the server sent more than {_WIRE_CAP} bytes")
        self._connection.consume_input()

    def _wait(self, event: int, until: float) -> None:
        watch = select.poll()
        watch.register(self._connection.socket, event)
        rest = until - time.monotonic()
        if rest <= 0 or not watch.poll(rest * 1000):
            raise LookError("timeout", "the server did not answer in time")


def _arrived(connected: int) -> int:
    """Return how many bytes have come over a connection in all; 0 where the system cannot tell."""
    with socket.socket(fileno=os.dup(connected)) as line:
        try:
            info = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        except (OSError, AttributeError):  # not on Linux, or no TCP
            return 0
    return int(_TCP_INFO.unpack(info)[0]) if len(info) == _TCP_INFO.size else 0


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _method(seen: str) -> str:
    asked = [(kind, name) for kind, name in _ASKED.findall(seen) if kind in _METHODS]
    return next((name.lower() or _METHODS[kind] for kind, name in asked), "a password")


def _error(result: pq.abc.PGresult) -> dict[str, Any]:
    parts = {key: result.error_field(field) for key, field in _PARTS.items()}
    return {
        key: None if one is None else one.decode("utf-8", "replace") for key, one in parts.items()
    }


def _value(raw: bytes | None, kind: int) -> Any:  # noqa: ANN401 - JSON
    if raw is None:
        return None
    text = raw.decode("utf-8", "replace")
    if kind == _BOOL:
        return text == "t"
    if kind in _JSON:
        return json.loads(text)
    return _NUMBERS[kind](text) if kind in _NUMBERS else text
