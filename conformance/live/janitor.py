"""Removing what a run that died left in the suite's own namespace, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from conformance.evidence import LookError
from conformance.kinds import KINDS
from conformance.live import kubernetes

if TYPE_CHECKING:
    from conformance.live.reach import Reach

PREFIX = "aik-conformance"
MARK = {"app.kubernetes.io/managed-by": PREFIX}
_OK = 200
AGE = timedelta(hours=1)  # no run takes so long, so no living run loses its canary


def sweep(reach: Reach, kind: str, namespace: str) -> int:
    """Delete objects with the suite's mark and prefix that are older than an hour; return how many.

    The age is told by the API server's own clock.

    Raises:
        LookError: where the objects cannot be listed.
    """
    selector = quote(",".join(f"{key}={value}" for key, value in MARK.items()))
    path = f"{KINDS[kind].path_of('', namespace)}?labelSelector={selector}"
    listed = kubernetes.exchange(reach, "GET", path)
    if listed["status"] != _OK:
        raise LookError(
            kubernetes.kind_of_status(listed["status"]), f"{kind} in {namespace} cannot be listed"
        )
    now = parsedate_to_datetime(listed["date"])
    removed = 0
    for one in listed["body"]["items"]:
        meta = one["metadata"]
        born = datetime.fromisoformat(meta["creationTimestamp"])
        if meta["name"].startswith(PREFIX) and now - born > AGE:
            with suppress(LookError):
                kubernetes.request(reach, "DELETE", KINDS[kind].path_of(meta["name"], namespace))
                removed += 1
    return removed
