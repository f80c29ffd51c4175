"""The few requests to the lab's API server that are too many, or too small, for kubectl."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import Any

from lab import layout, pki

SECONDS = 10.0
STRATEGIC = "application/strategic-merge-patch+json"


def request(path: str, patch: dict[str, Any] | None = None, method: str = "") -> dict[str, Any]:
    """Return the answer to a GET, or to a strategic merge PATCH, as the lab's administrator."""
    admin = pki.pair("admin")
    context = ssl.create_default_context(cafile=str(pki.pair("ca").certificate))
    context.load_cert_chain(admin.certificate, admin.key)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    asked = urllib.request.Request(  # noqa: S310 - the address is a constant of the lab
        layout.API_SERVER + path,
        data=None if patch is None else json.dumps(patch).encode(),
        headers={} if patch is None else {"Content-Type": STRATEGIC},
        method=method or ("GET" if patch is None else "PATCH"),
    )
    with opener.open(asked, timeout=SECONDS) as response:
        return dict(json.load(response))


def mark_lost(nodes: list[layout.Node]) -> None:
    """Say of dead nodes and their pods what is true of them: not ready, and gone.

    The API server remembers them as they were; until each kubelet has reported again,
    whoever waits for a rollout would be told that it is complete. Pods that a
    controller made are removed, and it makes new ones: started again in place, each
    would look as if its program had crashed.
    """
    names = {node.name for node in nodes}
    message = {"reason": "LabStarted", "message": "the lab was down"}
    for node in request("/api/v1/nodes")["items"]:
        name = node["metadata"]["name"]
        if name in names:
            unknown = [{"type": "Ready", "status": "Unknown", **message}]
            request(f"/api/v1/nodes/{name}/status", {"status": {"conditions": unknown}})
    for pod in request("/api/v1/pods")["items"]:
        if pod["spec"].get("nodeName") in names and pod["status"].get("phase") == "Running":
            about = pod["metadata"]
            path = f"/api/v1/namespaces/{about['namespace']}/pods/{about['name']}"
            if about.get("ownerReferences"):
                request(f"{path}?gracePeriodSeconds=0", method="DELETE")
                continue
            unready = [
                {"type": kind, "status": "False", **message}
                for kind in ("Ready", "ContainersReady")
            ]
            request(f"{path}/status", {"status": {"conditions": unready}})
