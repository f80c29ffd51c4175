"""Probes that break things, on clusters that carry the lab's marker and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.disruption import MARKER
from conformance.evidence import LookError
from conformance.kinds import KINDS
from conformance.live import kubernetes

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.live.reach import Reach


def demand(reach: Reach) -> None:
    """Refuse to go on unless the run allows disruption and the cluster is marked as a lab.

    Raises:
        LookError: `not-enabled`.
    """
    reach.demand("disruptive")
    namespace, _, name = MARKER.partition("/")
    try:
        kubernetes.request(reach, "GET", KINDS["configmaps"].path_of(name, namespace))
    except LookError as error:
        message = f"nothing is broken on a cluster without the ConfigMap {MARKER}: {error.message}"
        raise LookError("not-enabled", message) from error


def delete_pod(reach: Reach, namespace: str, name: str, uid: str) -> dict[str, Any]:
    """Delete one pod, and no other that took its name since; return what the API says of it."""
    demand(reach)
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
    path = KINDS["pods"].path_of(name, namespace)
    answer = kubernetes.request(reach, "DELETE", path, options)
    return {"name": name, "grace": answer.get("metadata", {}).get("deletionGracePeriodSeconds")}


PROBES: dict[str, Callable[..., Any]] = {"delete_pod": delete_pod}
