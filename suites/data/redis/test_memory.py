"""What happens when memory runs short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.platform import Platform, Redis
    from conformance.redis import RedisNodes
    from conformance.redis_files import RedisFiles
    from conformance.verdict import Verdict


@pytest.mark.control("RED-006")
def test_memory_is_bounded_and_the_least_used_keys_give_way(
    redis: Redis,
    redis_nodes: RedisNodes,
    redis_files: RedisFiles,
    platform: Platform,
    verdict: Verdict,
) -> None:
    """Every node evicts as declared, at a bound that leaves its container headroom.

    Without a bound the policy never acts, and the kernel kills the container
    instead. INFO tells both, also where CONFIG is renamed. Replicas are judged
    too: they evict once they are master.
    """
    share = platform.workload(redis.workload).memory_share or 1.0
    for node in redis_nodes.nodes(redis, verdict):
        policy = node.info.get("maxmemory_policy", "unknown")
        verdict.expect(
            policy == redis.eviction,
            subject=node.ref,
            claim=f"evicts {redis.eviction}",
            observed=policy,
            advice=f"set maxmemory-policy {redis.eviction}",
        )
        with verdict.about(node.ref, "bounds its memory"):
            bound = node.number("maxmemory")
            bounded = verdict.expect(
                bound > 0,
                subject=node.ref,
                claim="bounds its memory",
                observed=f"maxmemory {bound}",
                advice="set maxmemory to a part of the container's limit",
            )
            if not bounded:
                continue
            limit = redis_files.memory_limit(redis, node.pod)
            if limit is None:
                verdict.undecided(
                    subject=node.ref,
                    claim="leaves headroom below the container's limit",
                    reason=f"maxmemory is {bound}, and the container has no memory limit",
                    blocked_by="PLT-RES-001",
                )
                continue
            verdict.expect(
                bound <= share * limit,
                subject=node.ref,
                claim="leaves headroom below the container's limit",
                expected=f"at most {share:g} of {limit} bytes",
                observed=f"{bound} bytes, {bound / limit:.2f} of it",
                advice="lower maxmemory or raise the limit: copies on write need the rest",
            )
