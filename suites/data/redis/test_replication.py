"""One master, replicas that follow it, and what is written to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.redis import topology
from conformance.verdict import Level

if TYPE_CHECKING:
    from conformance.platform import Redis
    from conformance.redis import RedisNodes
    from conformance.verdict import Verdict


@pytest.mark.control("RED-001")
def test_two_replicas_follow_the_one_master(
    redis: Redis, redis_nodes: RedisNodes, verdict: Verdict
) -> None:
    """Exactly one node is master, and the others are online replicas of that very master.

    Each pod is asked itself, for a Service would show one of them. Addresses are
    left out of it (behind sidecars all announce the same one): who follows whom is
    read off the history, the replication id that a replica takes over from its master.
    """
    wanted = redis_nodes.size(redis)
    pods = redis_nodes.pods(redis)
    if not verdict.at_least(wanted, pods, subject=redis.ref, claim="has its declared nodes"):
        return
    nodes = redis_nodes.settled_nodes(redis, verdict)
    masters = [one for one in nodes if one.is_master]
    if len(masters) > 1 or len(nodes) == len(pods):
        verdict.expect(
            len(masters) == 1,
            subject=redis.ref,
            claim="has exactly one master",
            observed=topology(nodes),
            advice="let the failover manager choose one, or send REPLICAOF to the others",
        )
    if len(masters) != 1:
        return
    master = masters[0]
    verdict.expect(
        master.online >= wanted - 1,
        subject=master.ref,
        claim="has its replicas online",
        expected=f"at least {wanted - 1}",
        observed=f"{master.online}: {topology(nodes)}",
        advice="read the log of the replica that is missing: address, masterauth, backlog",
    )
    for node in nodes:
        if node is not master:
            verdict.expect(
                node.history == master.history,
                subject=node.ref,
                claim=f"has the history of {master.ref}",
                expected=master.history,
                observed=str(node),
                advice=f"make it follow {master.ref}",
            )


@pytest.mark.control("RED-002")
def test_replicas_keep_up_with_their_master(
    redis: Redis, redis_nodes: RedisNodes, verdict: Verdict
) -> None:
    """In three looks, every replica's link is up, alive, and not far behind.

    The replica is asked, for a master goes on counting one that it has not heard
    of for a minute. A first synchronisation is no fault until it takes too long.
    """
    samples = redis_nodes.samples(redis, verdict)
    verdict.at_least(1, samples, subject=redis.ref, claim="has replicas to be judged")
    for sample in samples:
        subject, last = sample.replica.ref, sample.replica
        if sample.synchronising:
            reason = "a full synchronisation is under way; look again when it is over"
            verdict.not_measured(subject=subject, claim="keeps up", reason=reason)
            continue
        verdict.expect(
            sample.linked,
            subject=subject,
            claim="has its link to the master up",
            observed=f"{sample.links}, one second apart; down for "
            f"{last.info.get('master_link_down_since_seconds', 0)} s",
            advice="compare its masterauth with the master's password, and read its log",
        )
        if not sample.linked:
            continue
        verdict.expect(
            sample.silence <= sample.patience,
            subject=subject,
            claim="has heard of its master lately",
            expected=f"within {sample.patience} s",
            observed=f"{sample.silence} s ago",
            advice="look at the network between the two nodes",
        )
        if sample.catching_up(redis.lag_bytes):
            reason = f"is behind and catching up: {sample.gaps} bytes; look again"
            verdict.not_measured(subject=subject, claim="keeps up", reason=reason)
            continue
        verdict.expect(
            sample.gaps[-1] <= redis.lag_bytes,
            subject=subject,
            claim="is not far behind its master",
            expected=f"at most {redis.lag_bytes} bytes",
            observed=f"{sample.gaps} bytes, one second apart",
            advice="compare the rate of writes with what the replica and its disk can take",
        )


@pytest.mark.control("RED-003")
def test_a_write_to_the_master_reaches_every_replica(
    redis: Redis, redis_nodes: RedisNodes, verdict: Verdict
) -> None:
    """A key written to the master is acknowledged by its replicas, read there, and removed there.

    WAIT answers with a number, never with an error: a number that nobody reads
    makes this pass without any replica.
    """
    wanted = redis_nodes.size(redis) - 1
    nodes = redis_nodes.settled_nodes(redis, verdict)
    master = redis_nodes.master(redis, nodes)
    replicas = [one for one in nodes if one is not master]
    with redis_nodes.canary(redis, master, "RED-003", wanted) as canary:
        if not redis_nodes.takes(canary, master, verdict):
            return
        verdict.expect(
            canary.value(1) >= wanted,
            subject=master.ref,
            claim="has a write acknowledged by its replicas",
            expected=f"at least {wanted} within 2 s",
            observed=canary.value(1),
            advice="see RED-001 and RED-002",
        )
        for node in replicas:
            with verdict.about(node.ref, "shows what was written to the master"):
                shown = redis_nodes.canary_shows(redis, node, "RED-003", present=True)
                verdict.expect(
                    shown is not None,
                    subject=node.ref,
                    claim="shows what was written to the master",
                    observed=shown or "no such key",
                    advice="see RED-001 and RED-002; where memory is short, see RED-006",
                )
    for node in nodes:
        with verdict.about(node.ref, "forgets what was removed from the master"):
            shown = redis_nodes.canary_shows(redis, node, "RED-003", present=False)
            verdict.expect(
                shown is None,
                subject=node.ref,
                claim="forgets what was removed from the master",
                observed=shown or "no such key",
                advice="see RED-001 and RED-002",
            )


@pytest.mark.control("RED-004")
def test_replicas_refuse_writes(redis: Redis, redis_nodes: RedisNodes, verdict: Verdict) -> None:
    """Every replica answers READONLY to a write, and says that it is configured so.

    The write is a SET of a key that does not exist, on condition that it exists:
    a replica that takes writes shows it without being changed. It counts as
    refused by this one word, once the master has taken the same command.
    """
    nodes = redis_nodes.settled_nodes(redis, verdict)
    master = redis_nodes.master(redis, nodes)
    replicas = [one for one in nodes if one is not master]
    verdict.at_least(1, replicas, subject=redis.ref, claim="has replicas to be judged")
    taken = redis_nodes.writes(redis, master)
    verdict.given(
        not taken.error, subject=master.ref, claim="takes the same command", observed=str(taken)
    )
    for node in replicas:
        with verdict.about(node.ref, "refuses a write"):
            reply = redis_nodes.writes(redis, node)
            if reply.error and reply.code != "READONLY":
                verdict.undecided(
                    subject=node.ref, claim="refuses a write", reason=f"Redis answers {reply}"
                )
                continue
            verdict.at(Level.OBSERVED).expect(
                reply.code == "READONLY",
                subject=node.ref,
                claim="refuses a write",
                expected="READONLY",
                observed=str(reply),
                advice="set replica-read-only yes",
            )
            verdict.at(Level.EFFECTIVE).expect(
                node.number("slave_read_only") == 1,
                subject=node.ref,
                claim="is configured to be read-only",
                observed=f"slave_read_only:{node.info.get('slave_read_only')}",
                advice="set replica-read-only yes",
            )
