"""When is the platform at rest: every rollout over, every pod ready, every Service served."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lab import steps

if TYPE_CHECKING:
    from lab.kubectl import Kubectl

NAMESPACES = (
    "aikernel-core",
    "aikernel-data",
    "aikernel-monitoring",
    "aikernel-security",
    "aikernel-ai",
)
KINDS = "statefulsets,deployments,daemonsets,pods,hpa,services,endpointslices"
SERVICE = "kubernetes.io/service-name"
WITHIN = 300.0
LOOK_SECONDS = 2.0
SAY_SECONDS = 10.0

Object = Mapping[str, Any]


def settle(kubectl: Kubectl, *, steady: float = 0.0, within: float = WITHIN) -> None:
    """Wait until the platform is at rest and stays so for `steady` seconds.

    Says every few seconds what is still awaited; raises StepError naming it
    when `within` seconds were not enough.
    """
    end = time.monotonic() + within
    rest_since: float | None = None
    said = time.monotonic()
    while True:
        moving = _seen(kubectl)
        now = time.monotonic()
        rest_since = None if moving else rest_since or now
        if rest_since is not None and now - rest_since >= steady:
            return
        if now > end:
            what = "; ".join(moving) or f"nothing moves, but not for {steady:.0f} s yet"
            raise steps.StepError(f"the platform is not at rest after {within:.0f} s: {what}")
        if now - said > SAY_SECONDS:
            said = now
            steps.say("waiting: " + ("; ".join(moving[:4]) or "that it stays at rest"))
        time.sleep(LOOK_SECONDS)


def _seen(kubectl: Kubectl) -> list[str]:
    """Look once; an API server that does not answer is one more thing to wait for."""
    try:
        return unsettled(kubectl.read("get", KINDS, "--all-namespaces")["items"])
    except steps.StepError as error:
        return [str(error).splitlines()[0]]


def unsettled(objects: Iterable[Object]) -> list[str]:
    """Return what is still moving among Kubernetes objects, one phrase each."""
    ours = [each for each in objects if each["metadata"].get("namespace") in NAMESPACES]
    served = {
        (each["metadata"]["namespace"], each["metadata"].get("labels", {}).get(SERVICE))
        for each in ours
        if each["kind"] == "EndpointSlice" and _has_ready_address(each)
    }
    return [phrase for each in ours if (phrase := _movement(each, served))]


def _movement(each: Object, served: set[tuple[str, str]]) -> str:
    """Return why one object is not at rest, or nothing."""
    kind, meta = each["kind"], each["metadata"]
    status, spec = each.get("status", {}), each.get("spec", {})
    name = f"{kind} {meta['name']}"
    if kind in ("StatefulSet", "Deployment", "DaemonSet"):
        return _rollout(name, kind, each)
    if kind == "Pod" and not _belongs_to_a_job(each):
        if meta.get("deletionTimestamp"):
            return f"{name} is ending"
        ready = any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in status.get("conditions", [])
        )
        return "" if ready else f"{name} is not ready"
    if kind == "HorizontalPodAutoscaler":
        few = status.get("currentReplicas", 0) < spec.get("minReplicas", 1)
        return f"{name} has not scaled to its minimum" if few else ""
    if kind == "Service" and spec.get("selector"):
        return "" if (meta["namespace"], meta["name"]) in served else f"{name} has no ready pod"
    return ""


def _rollout(name: str, kind: str, each: Object) -> str:
    """Return how far a workload's rollout is, or nothing when it is over."""
    status, spec = each.get("status", {}), each["spec"]
    if status.get("observedGeneration", 0) < each["metadata"]["generation"]:
        return f"{name} is not looked at yet"
    if kind == "DaemonSet":
        wanted, ready = status["desiredNumberScheduled"], status["numberReady"]
        updated = status.get("updatedNumberScheduled", 0)
    else:
        wanted, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
        updated = status.get("updatedReplicas", 0)
    if kind == "StatefulSet" and status.get("currentRevision") == status.get("updateRevision"):
        updated = wanted  # a finished rollout leaves the field out
    surplus = status.get("replicas", wanted) != wanted
    if ready != wanted or updated < wanted or surplus:
        return f"{name} {ready}/{wanted} ready, {min(updated, wanted)}/{wanted} up to date"
    return ""


def _has_ready_address(part: Object) -> bool:
    return any(
        endpoint.get("conditions", {}).get("ready") for endpoint in part.get("endpoints") or []
    )


def _belongs_to_a_job(pod: Object) -> bool:
    return any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences", []))
