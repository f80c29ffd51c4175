"""Tokens that pods carry, by their own volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.cluster import Object

_API = "https://kubernetes.default.svc"  # the usual audience; none at all means the same


def mounts_token(pod: Object) -> bool:
    """Say whether a container of a pod sees a token for the Kubernetes API itself."""
    spec = pod["spec"]
    volumes = {one["name"] for one in spec.get("volumes") or () if _for_the_api(one)}
    containers = (*(spec.get("initContainers") or ()), *spec["containers"])
    mounts = {m["name"] for one in containers for m in one.get("volumeMounts") or ()}
    return bool(volumes & mounts)


def _for_the_api(volume: Object) -> bool:
    for source in (volume.get("projected") or {}).get("sources") or ():
        token = source.get("serviceAccountToken")
        if token is not None:
            audience = str(token.get("audience") or _API)
            if audience.startswith(_API):
                return True
    return False
