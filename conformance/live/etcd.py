"""Probes of etcd, through its HTTP gateway: how Secrets are stored. What is stored stays there."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING, Any

import urllib3

from conformance.evidence import LookError
from conformance.kinds import KINDS
from conformance.live import http, kubernetes
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.live.reach import Reach

_PAGE = 50
_ENCRYPTED = re.compile(rb"k8s:enc:(\w+):(v\d+):")
_PLAIN = (b"k8s\0", b"{")


def secrets(
    reach: Reach, address: str, certificate: str, key: str, authority: str, prefix: str
) -> dict[str, Any]:
    """Return of every stored Secret its name and `form`, and whether this is the cluster's etcd.

    A form is the encrypting provider (`secretbox v1`), `plain`, or `unknown`. `ours` is
    whether the uid of kube-system stands there, None where that cannot be read either.
    """
    deadline = time.monotonic() + LIMITS.listing
    manager = urllib3.PoolManager(
        cert_file=certificate, key_file=key, ca_certs=authority, cert_reqs="CERT_REQUIRED"
    )
    try:
        store = _Store(manager, address, deadline)
        path = KINDS["namespaces"].path_of("kube-system")
        uid = str(kubernetes.request(reach, "GET", path)["metadata"]["uid"])
        root = f"{prefix}/secrets/"
        found = [
            {"name": name.removeprefix(root), "form": _form(value)}
            for name, value in store.below(root)
        ]
        return {"ours": _ours(store.get(f"{prefix}/namespaces/kube-system"), uid), "secrets": found}
    except OSError as error:
        if isinstance(error, LookError):
            raise
        raise LookError("no-credentials", f"a certificate cannot be read: {error}") from error
    finally:
        manager.clear()


def _ours(value: bytes | None, uid: str) -> bool | None:
    if value is None:
        return False
    return None if _ENCRYPTED.match(value) else uid.encode() in value


def _form(value: bytes) -> str:
    encrypted = _ENCRYPTED.match(value)
    if encrypted:
        return " ".join(part.decode() for part in encrypted.groups())
    return "plain" if value.startswith(_PLAIN) else "unknown"


class _Store:
    """Reads ranges of keys."""

    def __init__(self, manager: urllib3.PoolManager, address: str, deadline: float) -> None:
        self._manager = manager
        self._url = f"{address.rstrip('/')}/v3/kv/range"
        self._deadline = deadline

    def get(self, key: str) -> bytes | None:
        """Return one value; None where there is no such key."""
        found = self._range({"key": _packed(key.encode())})
        return found[0][1] if found else None

    def below(self, prefix: str) -> list[tuple[str, bytes]]:
        """Return all keys that begin so, with their values, page by page."""
        start, end = prefix.encode(), prefix.encode()[:-1] + bytes([prefix.encode()[-1] + 1])
        found: list[tuple[str, bytes]] = []
        while True:
            asked = {"key": _packed(start), "range_end": _packed(end), "limit": _PAGE}
            page = self._range(asked)
            found += page
            if len(page) < _PAGE:
                return found
            start = page[-1][0].encode() + b"\0"

    def _range(self, body: dict[str, Any]) -> list[tuple[str, bytes]]:
        headers = {"Content-Type": "application/json"}
        data = json.dumps(body).encode()
        answer = http.fetch(self._manager, "POST", self._url, headers, self._deadline, data)
        if answer.status != 200:  # noqa: PLR2004 - success, as HTTP has it
            raise LookError("unauthorized", f"etcd answered HTTP {answer.status}")
        try:
            content = json.loads(answer.data)
            pairs = content.get("kvs") or [] if content["header"] else []
            return [
                (base64.b64decode(one["key"]).decode(), base64.b64decode(one.get("value", "")))
                for one in pairs
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LookError("malformed", "what answers is no etcd") from error


def _packed(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


PROBES: dict[str, Callable[..., Any]] = {"secrets": secrets}
