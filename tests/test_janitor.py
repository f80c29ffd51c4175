"""The janitor removes the suite's own old things, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.evidence import LookError
from conformance.live import janitor
from tests.reaching import ROOMY, reach_to, short_limits
from tests.servers import reply, scripted, serving

if TYPE_CHECKING:
    from pathlib import Path

NOW = "Tue, 24 Nov 2026 12:00:00 GMT"


def thing(name: str, born: str) -> dict[str, object]:
    return {"metadata": {"name": name, "creationTimestamp": born}}


def test_only_what_is_ours_and_old_is_removed(tmp_path: Path) -> None:
    items = [
        thing("aik-conformance-dead-rest", "2026-11-24T10:59:59Z"),
        thing("aik-conformance-alive-rest", "2026-11-24T11:00:01Z"),
        thing("somebody-elses", "2020-01-01T00:00:00Z"),
    ]
    listed = reply({"kind": "SecretList", "metadata": {}, "items": items}, Date=NOW)
    gone = reply({"kind": "Status", "status": "Success"})
    with short_limits(ROOMY), serving(scripted(listed, gone)) as server:
        removed = janitor.sweep(
            reach_to(tmp_path, f"http://127.0.0.1:{server.port}"), "secrets", "aik-conformance"
        )
    heard = bytes(server.heard)
    assert removed == 1
    assert heard.count(b"DELETE ") == 1
    assert b"DELETE /api/v1/namespaces/aik-conformance/secrets/aik-conformance-dead-rest" in heard
    assert b"labelSelector=app.kubernetes.io/managed-by%3Daik-conformance" in heard


def test_what_cannot_be_listed_is_said(tmp_path: Path) -> None:
    refused = reply({"message": "no"}, "403 Forbidden")
    with short_limits(ROOMY), serving(scripted(refused)) as server:
        reach = reach_to(tmp_path, f"http://127.0.0.1:{server.port}")
        with pytest.raises(LookError) as caught:
            janitor.sweep(reach, "secrets", "aik-conformance")
    assert caught.value.kind == "forbidden"
