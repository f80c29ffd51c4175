"""Which cluster is meant: kubeconfig, context, or the pod the suite runs in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def kubeconfig_file(given: str | None) -> Path | None:
    """Return the kubeconfig that applies, or None where there is none (then: in-cluster)."""
    if given:
        return Path(given)
    listed = [Path(one) for one in os.environ.get("KUBECONFIG", "").split(os.pathsep) if one]
    for one in (*listed, Path.home() / ".kube" / "config"):
        if one.is_file():
            return one
    return None


def in_cluster() -> bool:
    """Say whether the suite runs in a pod of a cluster."""
    return IN_CLUSTER.is_file() and "KUBERNETES_SERVICE_HOST" in os.environ


def described(given: str | None, context: str | None) -> str:
    """Return the name and server of the cluster that a run would look at, for people."""
    path = kubeconfig_file(given)
    if path is None:
        return "the one this pod runs in" if in_cluster() else "none configured"
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        name = context or content.get("current-context", "")
        entries = {one["name"]: one["context"] for one in content.get("contexts", [])}
        clusters = {one["name"]: one["cluster"] for one in content.get("clusters", [])}
        server = clusters[entries[name]["cluster"]]["server"]
    except (OSError, KeyError, TypeError, yaml.YAMLError):
        return f"{path}: no usable context {context or '(current)'}"
    return f"{name} at {server}"
