"""Streams through the API: commands in containers, and tunnels to ports of pods.

A tunnel is believed only when it says so: its near end stands at once, also where
nothing listens at the far end.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.evidence import LookError
from conformance.live.channels import Channels
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

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
    with Channels.open(reach, namespace, pod, "exec", asked, time.monotonic() + limit) as stream:
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
            with Channels.open(
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

    def _pump(self, far: Channels, near: socket.socket, stop: socket.socket) -> None:
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

    def _bring(self, far: Channels, near: socket.socket, named: set[int]) -> bool:
        """Bring one message from the far end; say whether there may be more."""
        frame = far.frame()
        if frame is None:
            return False
        channel, data = frame
        if channel not in named:
            named.add(channel)
        elif channel == _DATA:
            self.received += len(data)
            near.settimeout(far.left())
            try:
                near.sendall(data)
            except OSError:  # the near end has gone: nobody wants the rest
                return False
        elif channel == _ERROR and data and not self.received:
            said = data.decode("utf-8", "replace").strip()
            message = f"port {self.port} of {self.pod}: {said}"
            raise LookError("unreachable", message, {"closed": self.port})
        return True


def _received(near: socket.socket) -> bytes:
    try:
        return near.recv(_CHUNK)
    except OSError:  # reset: as good as finished
        return b""


PROBES: dict[str, Callable[..., Any]] = {"exec": exec_}
