"""Breaking things on purpose: where that is permitted, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cluster import Object, ref
from conformance.evidence import Question

if TYPE_CHECKING:
    from conformance.cluster import Cluster
    from conformance.evidence import Answer, Lens

MARKER = "kube-system/aik-lab"  # a ConfigMap that only clusters have that may be broken


def forbidden(allowed: frozenset[str], cluster: Cluster) -> str:
    """Return why nothing may be broken in this run, or an empty string where it may."""
    if "disruptive" not in allowed:
        return "this run does not allow the class `disruptive`"
    if cluster.find("configmaps", MARKER) is None:
        return f"the cluster does not carry the lab's marker, the ConfigMap {MARKER}"
    return ""


def delete_pod(lens: Lens, pod: Object) -> Answer:
    """Delete this very pod; another that took its name since is left alone."""
    meta = pod["metadata"]
    arguments = {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
    return lens.look(Question("disruption.delete_pod", ref(pod), arguments))
