"""Keep this pod's label `role` at what its Redis is, so that the role Services find it.

The label says `master` only when the local Redis says so *and* the local sentinel names this
pod: a former master that comes back, or one that lost the vote, gets no writes. It is written
when the role changes and every ten seconds besides, so that no other hand's change lasts.
"""  # noqa: INP001 - mounted into a pod as a script

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import ssl
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

NAMESPACE = os.environ["NAMESPACE"]
POD = os.environ["HOSTNAME"]
SELF = f"{POD}.redis-headless.{NAMESPACE}.svc.{os.environ['CLUSTER_DOMAIN']}"
GROUP = "aikernel"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
log = logging.getLogger("role")
LOOK_SECONDS, WRITE_SECONDS, STUCK_SECONDS = 1.0, 10.0, 30.0


def ask(port: int, password: str, *words: str) -> str:
    """Return the first string that a local Redis or Sentinel answers; OSError without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
        lines = connection.makefile("r", encoding="utf-8", newline="\r\n")
        for command in (("AUTH", password), words):
            sent = "".join(f"${len(word)}\r\n{word}\r\n" for word in command)
            connection.sendall(f"*{len(command)}\r\n{sent}".encode())
            head = lines.readline().strip()
            if head[:1] not in ("+", "*"):
                raise OSError(f"port {port} answers {head!r}")
        lines.readline()
        return lines.readline().strip()


def role() -> str:
    """Return `master`, `replica`, or `none` for a Redis that nobody should be sent to."""
    if ask(6379, os.environ["REDIS_PASSWORD"], "ROLE") == "slave":
        return "replica"
    password = os.environ["SENTINEL_PASSWORD"]
    named = ask(26379, password, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP)
    return "master" if named == SELF else "none"


def write(label: str) -> None:
    """Set the label on this pod; the token is read each time because it is rotated."""
    request = urllib.request.Request(
        f"https://kubernetes.default.svc/api/v1/namespaces/{NAMESPACE}/pods/{POD}",
        data=json.dumps({"metadata": {"labels": {"role": label}}}).encode(),
        method="PATCH",
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/merge-patch+json",
        },
    )
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=5, context=trusted):  # noqa: S310 - https only
        pass


class Health(BaseHTTPRequestHandler):
    """Healthy while the loop turns and the label, once known, gets written."""

    good_at: ClassVar[float] = time.monotonic()

    def do_GET(self) -> None:
        """Answer the kubelet."""
        fresh = time.monotonic() - Health.good_at < STUCK_SECONDS
        self.send_response(200 if fresh else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing about probes."""


def main() -> None:
    """Look once a second until told to stop, and then until Redis is gone: it may hand over yet."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    server = ThreadingHTTPServer(("", 8080), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    leaving = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leaving.set())
    label, written = "", 0.0
    while True:
        try:
            now = role()
        except OSError as error:
            if leaving.is_set():
                return
            now = label  # whether Redis answers is the business of its own probe
            log.info("the role is not known: %s", error)
        try:
            if now and (now != label or time.monotonic() - written > WRITE_SECONDS):
                write(now)
                if now != label:
                    log.info("role %s", now)
                label, written = now, time.monotonic()
            Health.good_at = time.monotonic()
        except OSError as error:
            log.info("the label is not written: %s", error)
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
