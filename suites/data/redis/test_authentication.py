"""Who is let in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.redis import passwordless_users
from conformance.verdict import Level

if TYPE_CHECKING:
    from conformance.platform import Redis
    from conformance.pods import Pod
    from conformance.redis import RedisNodes
    from conformance.verdict import Verdict

_SET = "set requirepass (and masterauth), or an ACL whose users all have passwords"


@pytest.mark.control("RED-007")
def test_every_node_asks_for_the_password(
    redis: Redis, redis_nodes: RedisNodes, verdict: Verdict
) -> None:
    """Every node refuses no password and a wrong one, and takes the right one, over the network.

    A server without any password answers AUTH with an error too, so a refusal is
    one of two words: NOAUTH to a command, WRONGPASS to AUTH. Through a tunnel the
    suite would stand on the pod's own loopback; from there only the list of users
    counts.
    """
    for pod in redis_nodes.pods(redis):
        with verdict.about(pod.ref, "asks for a password"):
            _judge_refusals(pod, redis, redis_nodes, verdict.at(Level.OBSERVED))
    verdict.at(Level.EFFECTIVE)
    for node in redis_nodes.nodes(redis, verdict):
        if node.acl is not None:
            users = passwordless_users(node.acl)
            verdict.expect(
                not users,
                subject=node.ref,
                claim="has no user who needs no password",
                observed=", ".join(users) or "every user who may do something has a password",
                advice=_SET,
            )


def _judge_refusals(pod: Pod, redis: Redis, redis_nodes: RedisNodes, verdict: Verdict) -> None:
    stranger, liar, friend = redis_nodes.logins(redis, pod)
    if not stranger.crossed:
        reason = (
            "a tunnel ends on the pod's own loopback; run in the cluster, or where it is routed"
        )
        verdict.undecided(subject=pod.ref, claim="asks for a password", reason=reason)
        return
    welcome = friend.replies[0]
    for claim, reply, refusals in (
        ("refuses a client without a password", stranger.replies[0], ("NOAUTH",)),
        ("refuses a wrong password", liar.auth, ("WRONGPASS", "ERR invalid password")),
    ):
        refused = reply.error.startswith(refusals)
        if not refused and reply.error and not reply.tells_of_no_password:
            verdict.undecided(subject=pod.ref, claim=claim, reason=f"Redis answers {reply}")
        elif not refused or verdict.given(
            welcome.value == "PONG",
            subject=pod.ref,
            claim="takes the right password",
            observed=str(friend.auth if friend.auth.error else welcome),
            advice="give the suite the password in use (see SEC-004)",
        ):
            verdict.expect(
                refused,
                subject=pod.ref,
                claim=claim,
                expected=" or ".join(refusals),
                observed=str(reply),
                advice=_SET,
            )
