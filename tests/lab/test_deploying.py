"""Secrets are made once and kept, changed configuration rolls its pods, and rest is recognised."""

from __future__ import annotations

from typing import Any

import pytest

from lab import deploying, settling
from lab.deploying import CREDENTIALS, Credential


def test_secrets_that_are_there_stay_and_missing_ones_are_made() -> None:
    credential = Credential("x", random=("password", "other"), fixed={"user": "aikernel"})
    first = deploying.completed(credential, {"password": "kept", "foreign": "kept too"})
    assert first["password"] == "kept"
    assert first["foreign"] == "kept too"
    assert first["user"] == "aikernel"
    assert deploying.completed(credential, first) == first


def test_made_secrets_are_long_and_all_different() -> None:
    made = [
        value
        for credential in CREDENTIALS
        for key, value in deploying.completed(credential, {}).items()
        if key in credential.random
    ]
    assert len(set(made)) == len(made)
    assert min(map(len, made)) >= 32


def objects(text: str) -> list[dict[str, Any]]:
    """Return a ConfigMap of that text, a StatefulSet that mounts it and one that does not."""
    meta = {"namespace": "aikernel-data", "name": "config"}
    mounting = {"volumes": [{"name": "config", "configMap": {"name": "config"}}]}
    return [
        {"kind": "ConfigMap", "metadata": meta, "data": {"a": text}},
        *(
            {
                "kind": "StatefulSet",
                "metadata": {"namespace": "aikernel-data", "name": name},
                "spec": {"template": {"metadata": {}, "spec": spec}},
            }
            for name, spec in (("mounts", mounting), ("does-not", {}))
        ),
    ]


def digests(text: str) -> list[str]:
    """Return the annotation of each StatefulSet."""
    found = list(deploying.with_config_digests(objects(text)))
    return [
        each["spec"]["template"]["metadata"]["annotations"]["aikernel.io/config-digest"]
        for each in found[1:]
    ]


def test_a_changed_config_map_rolls_the_pods_that_mount_it_and_no_others() -> None:
    before, after = digests("one"), digests("two")
    assert before == digests("one")
    assert before[0] != after[0]
    assert before[1] == after[1]


def thing(kind: str, name: str = "x", **parts: Any) -> dict[str, Any]:
    """Return an object of the data namespace."""
    meta = {"namespace": "aikernel-data", "name": name, "generation": 2, **parts.pop("meta", {})}
    return {"kind": kind, "metadata": meta, **parts}


READY = {"conditions": [{"type": "Ready", "status": "True"}]}
UNREADY = {"conditions": [{"type": "Ready", "status": "False"}]}
DONE = {"observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 3}
ONE_REVISION = {"currentRevision": "r1", "updateRevision": "r1"}
THREE = {"replicas": 3}


@pytest.mark.parametrize(
    "each",
    [
        thing("StatefulSet", spec=THREE, status=DONE | ONE_REVISION),
        thing("StatefulSet", spec=THREE, status=DONE | ONE_REVISION | {"updatedReplicas": 0}),
        thing("StatefulSet", spec={"replicas": 0}, status={"observedGeneration": 2, "replicas": 0}),
        thing("Deployment", spec=THREE, status=DONE),
        thing("Pod", status=READY),
        thing("Pod", status=UNREADY, meta={"ownerReferences": [{"kind": "Job"}]}),
        thing("Pod", status=UNREADY, meta={"namespace": "kube-system"}),
        thing("Service", spec={"ports": []}),
        thing("HorizontalPodAutoscaler", spec={"minReplicas": 2}, status={"currentReplicas": 2}),
    ],
)
def test_what_is_over_is_at_rest(each: dict[str, Any]) -> None:
    assert settling.unsettled([each]) == []


@pytest.mark.parametrize(
    "each",
    [
        thing("StatefulSet", spec=THREE, status=DONE | ONE_REVISION | {"observedGeneration": 1}),
        thing("StatefulSet", spec=THREE, status=DONE | ONE_REVISION | {"readyReplicas": 2}),
        thing("StatefulSet", spec=THREE, status=DONE | ONE_REVISION | {"replicas": 4}),
        thing(
            "StatefulSet",
            spec=THREE,
            status=DONE
            | {"currentRevision": "r1", "updateRevision": "r2"}
            | {"updatedReplicas": 2},
        ),
        thing("StatefulSet", spec=THREE, status={}),
        thing("Deployment", spec=THREE, status=DONE | {"updatedReplicas": 2}),
        thing(
            "DaemonSet",
            spec={},
            status={"observedGeneration": 2, "desiredNumberScheduled": 3, "numberReady": 2},
        ),
        thing("Pod", status=UNREADY),
        thing("Pod", status={}),
        thing("Pod", status=READY, meta={"deletionTimestamp": "now"}),
        thing("Service", spec={"selector": {"app": "x"}}),
        thing("HorizontalPodAutoscaler", spec={"minReplicas": 2}, status={"currentReplicas": 1}),
    ],
)
def test_what_moves_is_named(each: dict[str, Any]) -> None:
    (phrase,) = settling.unsettled([each])
    assert phrase.startswith(f"{each['kind']} x ")


@pytest.mark.parametrize(("ready", "awaited"), [(True, 0), (False, 1)])
def test_a_service_is_served_by_a_ready_address_only(*, ready: bool, awaited: int) -> None:
    part = thing(
        "EndpointSlice",
        "x-abc",
        meta={"labels": {settling.SERVICE: "x"}},
        endpoints=[{"conditions": {"ready": ready}}],
    )
    service = thing("Service", spec={"selector": {"app": "x"}})
    assert len(settling.unsettled([service, part])) == awaited
