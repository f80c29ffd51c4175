"""Whether readiness means anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.disruption import forbidden
from conformance.serving import patience
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from conformance.cluster import Cluster
    from conformance.platform import Platform, Workload
    from conformance.pods import Pod
    from conformance.redis import RedisNodes
    from conformance.serving import Serving
    from conformance.verdict import Verdict
    from conformance.workloads import Workloads

_SERVES = "serves, as its readiness says"
_FOLLOWS = "stops being ready when its product stops answering"


@pytest.mark.control("PLT-WL-010")
def test_ready_pods_serve(
    workload: Workload,
    workloads: Workloads,
    serving: Serving,
    redis_nodes: RedisNodes,
    cluster: Cluster,
    platform: Platform,
    allowed: frozenset[str],
    verdict: Verdict,
) -> None:
    """Of every pod that is ready, the product itself says through another door that it serves.

    A probe that cannot fail keeps a broken pod in every Service. As long as nothing
    is broken its agreement shows little: the rest is shown by making a product
    silent for a while. What a probe has not had the time to notice is looked at again.
    """
    if not serving.can_ask(workload):
        reason = f"the suite does not ask {workload.asks} yet"
        verdict.not_measured(subject=workload.ref, claim=_SERVES, reason=reason)
        return
    reason = forbidden(allowed, cluster)
    seen = workloads if reason else workloads.anew  # drills may have replaced pods
    ready = [one for one in seen.of(workload).staying if one.ready]
    if not ready:
        raise UndecidedError(f"no pod of {workload.ref} is ready, so there is nothing to compare")
    for pod, found in zip(ready, serving.words(workload, ready), strict=True):
        with verdict.about(pod.ref, _SERVES):
            if isinstance(found, UndecidedError):
                raise found
            word = found if found.serves else serving.later(workload, pod)
            verdict.expect(
                word is None or word.serves,
                subject=pod.ref,
                claim=_SERVES,
                observed=f"ready, and the product answers {word.told}"
                if word
                else "no longer ready",
                advice="let the readiness probe ask the product what its clients ask, with a login",
            )
    replica = None if reason else _replica(ready, workload, redis_nodes, platform, verdict)
    if replica is None:
        verdict.not_measured(
            subject=workload.ref,
            claim=_FOLLOWS,
            reason=reason or f"the suite knows no harmless way to silence {workload.asks} here",
            needs="disruptive",
        )
        return
    _silence(replica, serving, platform, verdict)


def _replica(
    ready: list[Pod],
    workload: Workload,
    redis_nodes: RedisNodes,
    platform: Platform,
    verdict: Verdict,
) -> Pod | None:
    """Return a replica of Redis that is ready: its absence for a minute harms nobody."""
    if workload.asks != "redis" or platform.redis is None:
        return None
    followers = redis_nodes.followers(platform.redis, verdict)
    return next((one for one in ready if one.ref in followers), None)


def _silence(pod: Pod, serving: Serving, platform: Platform, verdict: Verdict) -> None:
    lag = patience(pod)
    if platform.redis is None:
        return
    answer = serving.pause(platform.redis, pod, int(lag) + 10)
    if verdict.given(answer == "OK", subject=pod.ref, claim="can be made silent", observed=answer):
        noticed = serving.becomes(pod, ready=False, limit=lag + 10)
        verdict.expect(
            noticed,
            subject=pod.ref,
            claim=_FOLLOWS,
            expected=f"within {lag:g} s",
            observed="it did" if noticed else "stayed ready while Redis answered nobody",
            advice="let the readiness probe ask the product what its clients ask, with a login",
        )
        serving.becomes(pod, ready=True, limit=300.0)
