"""Where the Services of the roles lead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.verdict import Level

if TYPE_CHECKING:
    from conformance.endpoints import Endpoints
    from conformance.platform import Platform, Redis
    from conformance.redis import RedisNodes
    from conformance.verdict import Verdict

_CONNECTIONS = 20  # of three endpoints a wrong one is missed once in three thousand times


@pytest.mark.control("RED-008")
def test_role_services_lead_to_their_role(
    redis: Redis,
    redis_nodes: RedisNodes,
    endpoints: Endpoints,
    platform: Platform,
    verdict: Verdict,
) -> None:
    """Every connection through the master's Service finds the master; through the other, a replica.

    Connections are fresh ones, for a kept one always ends at the same pod. What
    stands behind a Service is compared with what each of its pods says it is, too:
    that also shows an endpoint that no connection happened to hit.
    """
    namespace = platform.workload(redis.workload).namespace
    nodes = redis_nodes.settled_nodes(redis, verdict)
    roles = {one.pod.name: one.info["role"] for one in nodes}
    for name, role in ((redis.master_service, "master"), (redis.replica_service, "slave")):
        service = platform.service(f"{namespace}/{name}")
        with verdict.about(service.ref, f"leads to a {role}"):
            backing = endpoints.find(service.ref)
            ready = [one.name for one in backing.ready] if backing else []
            if not verdict.at(Level.EFFECTIVE).expect(
                bool(ready) or bool(backing and backing.external_name),
                subject=service.ref,
                claim="has something ready behind it",
                observed=backing.told if backing else "no such Service",
                advice="compare its selector with the labels of the pods (see PLT-WL-005)",
            ):
                continue
            behind = {one: roles[one] for one in ready if one in roles}
            if behind:  # else a proxy stands between, which only connections see through
                verdict.expect(
                    set(behind.values()) == {role},
                    subject=service.ref,
                    claim=f"has only pods behind it that say {role}",
                    observed=str(behind),
                    advice="label the pods by what Redis says they are",
                )
            found = redis_nodes.roles_behind(redis, service, _CONNECTIONS)
            verdict.at(Level.OBSERVED).expect(
                found == [role] * _CONNECTIONS,
                subject=service.ref,
                claim=f"leads to a {role}",
                expected=f"{role}, {_CONNECTIONS} of {_CONNECTIONS} connections",
                observed=str({one: found.count(one) for one in sorted(set(found))}),
                advice="label the pods by what Redis says they are",
            )
