"""Probes of ConfigMaps: what is in them, by digest. Their content stays where it is."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from conformance.kinds import KINDS
from conformance.live import kubernetes

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.live.reach import Reach

_CONTENT = ("f:data", "f:binaryData")


def digests(reach: Reach, namespace: str, name: str) -> dict[str, Any]:
    """Return `files` (SHA-256 by key) and `written`: when the content was last changed.

    Field ownership tells content from labels and annotations, so that somebody who
    only marks a ConfigMap does not make it newer. `written` is the latest time that
    it can be; where no ownership is recorded, when the object was created.
    """
    path = KINDS["configmaps"].path_of(quote(name, ""), quote(namespace, ""))
    item = kubernetes.request(reach, "GET", path)
    content = {key: text.encode() for key, text in (item.get("data") or {}).items()}
    content |= {key: base64.b64decode(raw) for key, raw in (item.get("binaryData") or {}).items()}
    meta = item["metadata"]
    times = [
        one["time"]
        for one in meta.get("managedFields") or ()
        if one.get("time") and any(part in (one.get("fieldsV1") or {}) for part in _CONTENT)
    ]
    return {
        "files": {key: hashlib.sha256(raw).hexdigest() for key, raw in content.items()},
        "written": max(times, default=meta["creationTimestamp"]),
    }


PROBES: dict[str, Callable[..., Any]] = {"digests": digests}
