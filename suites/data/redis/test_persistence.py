"""What survives the process: the append-only file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.redis_files import CLAIM
from conformance.verdict import Level

if TYPE_CHECKING:
    from conformance.platform import Redis
    from conformance.redis import Node, RedisNodes
    from conformance.redis_files import RedisFiles
    from conformance.verdict import Verdict


@pytest.mark.control("RED-005")
def test_every_write_goes_to_an_append_only_file_on_a_volume(
    redis: Redis,
    redis_nodes: RedisNodes,
    redis_files: RedisFiles,
    allowed: frozenset[str],
    verdict: Verdict,
) -> None:
    """Every node appends to a file on a persistent volume, without errors, as often as declared.

    Any node may be the next master, so each is judged. The ConfigMap is not asked:
    what runs may differ from it. That the file is on by configuration says nothing
    about a disk that is full: the status of the last write does, and a canary shows
    the file growing.
    """
    nodes = redis_nodes.nodes(redis, verdict)
    for node in nodes:
        for key, wanted in (
            ("aof_enabled", "1"),
            ("aof_last_write_status", "ok"),
            ("aof_last_bgrewrite_status", "ok"),
        ):
            verdict.expect(
                node.info.get(key) == wanted,
                subject=node.ref,
                claim=f"says {key}:{wanted}",
                observed=f"{key}:{node.info.get(key, 'absent')}",
                advice="set appendonly yes; for a status that is not ok, look at the disk",
            )
        _judge_settings(node, redis, redis_files, verdict)
    if "canary" in allowed:
        with verdict.about(redis.ref, "has files that grow with a write"):
            _judge_growth(redis, nodes, redis_nodes, redis_files, verdict)
    else:
        verdict.not_measured(
            subject=redis.ref,
            claim="has files that grow with a write",
            reason="this run does not allow the class `canary`",
            needs="canary",
        )


def _judge_settings(node: Node, redis: Redis, redis_files: RedisFiles, verdict: Verdict) -> None:
    interval, place = f"writes to the disk {redis.append_fsync}", "keeps the file on a claim"
    known = node.settings
    if not {"appendfsync", "dir"} <= set(known):
        reason = "CONFIG is renamed or denied, and nothing else tells"
        for claim in (interval, place):
            verdict.not_measured(subject=node.ref, claim=claim, reason=reason)
        return
    verdict.expect(
        known["appendfsync"] in {redis.append_fsync, "always"},  # more often is no violation
        subject=node.ref,
        claim=interval,
        expected=redis.append_fsync,
        observed=known["appendfsync"],
        advice=f"set appendfsync {redis.append_fsync}",
    )
    with verdict.about(node.ref, place):
        kind = redis_files.volume(redis, node)
        verdict.expect(
            kind == CLAIM,
            subject=node.ref,
            claim=place,
            expected=CLAIM,
            observed=f"{kind} at {known['dir']}",
            advice="mount a claim of the StatefulSet at the directory that `dir` names",
        )


def _judge_growth(
    redis: Redis,
    nodes: list[Node],
    redis_nodes: RedisNodes,
    redis_files: RedisFiles,
    verdict: Verdict,
) -> None:
    claim = "has files that grow with a write"
    master = redis_nodes.master(redis, nodes)
    before: dict[str, dict[str, int]] = {}
    for node in nodes:
        with verdict.about(node.ref, claim):
            before[node.ref] = redis_files.sizes(redis, node)
    with redis_nodes.canary(redis, master, "RED-005", len(nodes) - 1) as canary:
        if not redis_nodes.takes(canary, master, verdict):
            return
        verdict.at(Level.OBSERVED)
        for node in (one for one in nodes if one.ref in before):
            with verdict.about(node.ref, claim):
                grown = redis_files.growth(redis, node, before[node.ref])
                verdict.expect(
                    grown != "",
                    subject=node.ref,
                    claim=claim,
                    observed=grown or f"{before[node.ref]}, and no more seconds after the write",
                    advice="for a replica, see RED-001; else look for a file that was removed",
                )
