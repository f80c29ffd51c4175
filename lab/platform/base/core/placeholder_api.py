"""Stands where the core services will be: answers its name, and tells the kubelet that it lives."""  # noqa: INP001 - mounted into a pod as a script

from __future__ import annotations

import json
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

LEAVE_SECONDS = 5.0


class Placeholder(BaseHTTPRequestHandler):
    """One document, and two addresses for the probes."""

    leaving: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        """Answer; once the pod is told to stop, say so to the readiness probe first."""
        answers = {
            "/": (200, {"service": "placeholder-api", "status": "pending"}),
            "/healthz": (200, {"alive": True}),
            "/readyz": (503 if self.leaving.is_set() else 200, {"leaving": self.leaving.is_set()}),
        }
        status, document = answers.get(self.path, (404, {"error": "there is nothing here yet"}))
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing about probes."""


def main() -> None:
    """Serve until SIGTERM, and a few seconds longer for those who still come."""
    server = ThreadingHTTPServer(("", 8080), Placeholder)

    def leave(*_: object) -> None:
        Placeholder.leaving.set()
        threading.Timer(LEAVE_SECONDS, server.shutdown).start()

    signal.signal(signal.SIGTERM, leave)
    server.serve_forever()


if __name__ == "__main__":
    main()
