"""Whether the API server encrypts a Secret that is written now, by its own counters.

All requests go over one connection, so that they come to one server; its start
time, read with every count, says whether they did.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from conformance.evidence import LookError
from conformance.kinds import KINDS
from conformance.live import http, janitor, kubernetes
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    import urllib3

    from conformance.live.reach import Reach

_WRITES = re.compile(
    r"apiserver_storage_transformation_operations_total"
    r'\{([^}]*transformation_type="to_storage"[^}]*)\} (\S+)'
)
_POSTS = re.compile(r'apiserver_request_total\{([^}]*verb="POST"[^}]*)\} (\S+)')
_STARTED = re.compile(r"^process_start_time_seconds (\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_CREATED = 201


def transformed(reach: Reach, namespace: str, name: str) -> dict[str, Any]:
    """Write a ConfigMap, then a Secret, and return the server's counts before, between and after.

    Each of `before`, `control` and `after` has `server` (the second it started), `writes`
    (`prefix`, `resource` if told, `count`) and `posts` (how many Secrets were created).
    Both canaries are removed.

    Raises:
        LookError: `not-enabled` unless the run allows canaries, or why there is no answer.
    """
    reach.demand("canary")
    deadline = time.monotonic() + LIMITS.canary
    for kind in ("configmaps", "secrets"):
        janitor.sweep(reach, kind, namespace)
    line = _Line(reach, deadline)
    looks = [line.counts()]
    try:
        for kind, body in (("configmaps", {"data": {"canary": "x"}}), ("secrets", _SECRET)):
            line.create(kind, namespace, name, body)
            looks.append(line.counts())
    finally:
        for kind in ("configmaps", "secrets"):
            line.remove(kind, namespace, name)
    return dict(zip(("before", "control", "after"), looks, strict=True))


_SECRET = {"type": "Opaque", "stringData": {"canary": "aik-conformance canary, worth nothing"}}


class _Line:
    """One connection to the API."""

    def __init__(self, reach: Reach, deadline: float) -> None:
        client = reach.new_client()
        self._manager: urllib3.PoolManager = client.rest_client.pool_manager
        self._host = client.configuration.host
        self._reach = reach
        self._deadline = deadline

    def counts(self) -> dict[str, Any]:
        """Return the counters of the server that answers."""
        text = self._ask("GET", "/metrics", accept="text/plain").decode("utf-8", "replace")
        started = _STARTED.search(text)
        if started is None:
            raise LookError("malformed", "what answers /metrics does not say when it started")
        writes = [(dict(_LABEL.findall(one)), float(count)) for one, count in _WRITES.findall(text)]
        posts = [(dict(_LABEL.findall(one)), float(count)) for one, count in _POSTS.findall(text)]
        return {
            "server": started[1],
            "writes": [
                {
                    "prefix": one.get("transformer_prefix", ""),
                    "resource": one.get("resource", ""),
                    "count": int(count),
                }
                for one, count in writes
                if one.get("status", "OK") == "OK"
            ],
            "posts": int(
                sum(
                    count
                    for one, count in posts
                    if one.get("resource") == "secrets" and one.get("code") == "201"
                )
            ),
        }

    def create(self, kind: str, namespace: str, name: str, content: dict[str, Any]) -> None:
        """Create an object that carries the suite's mark, so that its janitor finds it."""
        metadata = {"name": name, "namespace": namespace, "labels": janitor.MARK}
        body = {"apiVersion": "v1", "kind": KINDS[kind].kind, "metadata": metadata, **content}
        self._ask("POST", KINDS[kind].path_of("", namespace), json.dumps(body).encode())

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Remove it if it is there; what stays behind is the janitor's."""
        path = KINDS[kind].path_of(name, namespace)
        with suppress(LookError):
            kubernetes.request(self._reach, "DELETE", path)

    def _ask(
        self, method: str, path: str, body: bytes | None = None, accept: str = "application/json"
    ) -> bytes:
        headers = {"Accept": accept, "Content-Type": "application/json"}
        headers |= kubernetes.authorization(self._reach)
        url = self._host + path
        found = http.fetch(self._manager, method, url, headers, self._deadline, body)
        if found.status not in {200, _CREATED}:
            said = self._reach.redactor.text(found.data[:300].decode("utf-8", "replace"))
            kind = kubernetes.kind_of_status(found.status)
            raise LookError(kind, f"{method} {path}: HTTP {found.status}: {said}")
        return found.data
