"""What happens when the master is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.disruption import forbidden
from conformance.redis_drill import Drill
from conformance.verdict import Level, Outcome

if TYPE_CHECKING:
    from conformance.cluster import Cluster
    from conformance.evidence import Lens
    from conformance.platform import Redis
    from conformance.redis import Node, RedisNodes
    from conformance.sentinels import Sentinels, Watch
    from conformance.verdict import Verdict

_BOUND = 30.0  # seconds within which there is a new master
_SURVIVES = "another node becomes master, and what was written is kept"


@pytest.mark.control("RED-009")
def test_a_lost_master_is_replaced_and_nothing_is_lost(
    redis: Redis,
    redis_nodes: RedisNodes,
    sentinels: Sentinels,
    cluster: Cluster,
    lens: Lens,
    allowed: frozenset[str],
    verdict: Verdict,
) -> None:
    """Someone watches this master and could replace it, and every node could serve under another.

    Sentinels are known by what they watch: the run id, for addresses differ by who
    looks. Only a drill shows the rest: the pod is deleted, and a key written before
    must be on all nodes after, the returned one included. A master that comes back
    empty takes its replicas' data with it.
    """
    nodes = redis_nodes.nodes(redis, verdict)
    master = redis_nodes.master(redis, nodes)
    watches = sentinels.watching(redis, master, verdict)
    unheard = [one for one in verdict.findings if one.outcome is Outcome.INCONCLUSIVE]
    operator = sentinels.operator(redis)
    if watches or operator or not unheard:
        verdict.expect(
            bool(watches or operator),
            subject=master.ref,
            claim="is watched by a failover manager",
            observed=", ".join(one.pod.ref for one in watches) or operator or "by nobody",
            advice="run sentinels that monitor it, or an operator",
        )
    for watch in watches:
        _judge(watch, verdict)
    for node in nodes:
        _judge_masterauth(node, verdict)
    if reason := forbidden(allowed, cluster):
        verdict.not_measured(subject=redis.ref, claim=_SURVIVES, reason=reason, needs="disruptive")
        return
    _drill(Drill(lens, redis), master, [one for one in nodes if one is not master], verdict)


def _judge(watch: Watch, verdict: Verdict) -> None:
    verdict.expect(
        not watch.troubles and watch.replicas > 0,
        subject=watch.pod.ref,
        claim="sees the master up, with replicas",
        observed=f"{watch.fields.get('flags')}, {watch.replicas} replicas",
        advice="compare auth-pass with the master's password, and read the sentinel's log",
    )
    if watch.quorum.error and watch.quorum.code != "NOQUORUM":
        verdict.undecided(
            subject=watch.pod.ref,
            claim="finds enough sentinels to replace the master",
            reason=f"the sentinel answers {watch.quorum}",
        )
        return
    verdict.expect(
        watch.can_replace,
        subject=watch.pod.ref,
        claim="finds enough sentinels to replace the master",
        observed=str(watch.quorum),
        advice="bring the other sentinels up, or set quorum to a majority of those there are",
    )


def _judge_masterauth(node: Node, verdict: Verdict) -> None:
    told = node.settings.get("masterauth")
    if told is None and not node.linked:
        reason = "CONFIG is renamed or denied, and it follows nobody now"
        verdict.undecided(subject=node.ref, claim="can log in to a master", reason=reason)
        return
    verdict.expect(
        told != "",
        subject=node.ref,
        claim="can log in to a master",
        observed="masterauth is empty" if told == "" else told or "its link is up",
        advice="set masterauth: a master that failed comes back as a replica",
    )


def _drill(drill: Drill, master: Node, others: list[Node], verdict: Verdict) -> None:
    verdict.at(Level.OBSERVED)
    written = drill.prepare(master, len(others))
    last = master
    try:
        if not verdict.given(
            written.value(0) == "OK" and written.value(1) == len(others),
            subject=master.ref,
            claim="has a write acknowledged before the drill",
            observed=str(written.replies[1]),
        ):
            return
        promotion = drill.promotion(others, drill.depose(master))
        in_time = promotion is not None and promotion.seconds <= _BOUND
        verdict.expect(
            in_time,
            subject=master.ref,
            claim="is replaced when it is lost",
            expected=f"within {_BOUND:g} s",
            observed=f"{promotion.node.ref} after {promotion.seconds:.1f} s"
            if promotion
            else "no other node became master",
            advice="read the logs of the sentinels: quorum, down-after-milliseconds",
        )
        last = promotion.node if promotion else last
        for pod in (drill.returned(master.pod), *(one.pod for one in others)):
            with verdict.about(pod.ref, "has what was written before"):
                kept = drill.kept(pod)
                verdict.expect(
                    kept,
                    subject=pod.ref,
                    claim="has what was written before",
                    observed="has it" if kept else "has no such key",
                    advice="keep the append-only file on a volume; start a lost master as replica",
                )
    finally:
        drill.tidy(last)
