"""What the views of workloads make of API objects, where worlds would say it at length."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conformance import images
from conformance.configs import Use
from conformance.evidence import Question, Replayer
from conformance.placement import Node
from conformance.platform import Kind, Workload
from conformance.pods import Role, containers
from conformance.workloads import Workloads

AGENT = Workload("agent", "agent", "monitoring", Kind.DAEMON_SET, "Agent", every_node=True)
KEYS = {"a.conf": "1", "b.conf": "2"}


@pytest.mark.parametrize(
    ("image", "name", "version"),
    [
        ("redis:7.2-bookworm", "redis", (7, 2)),
        ("registry.example:5000/hub/redis:7", "redis", (7,)),
        ("registry.example:5000/hub/redis", "redis", ()),
        ("argoproj/argocd:v2.9.3", "argocd", (2, 9, 3)),
        ("istio/pilot:1.20.0-distroless@sha256:00", "pilot", (1, 20, 0)),
        ("redis@sha256:7777", "redis", ()),
        ("redis:latest", "redis", ()),
        ("redis:20240101", "redis", ()),
        ("redis:7e3a2b1", "redis", ()),
        ("redis:release-7.2", "redis", ()),
    ],
)
def test_a_tag_is_a_version_where_it_begins_with_one(
    image: str, name: str, version: tuple[int, ...]
) -> None:
    assert images.repository(image) == name
    assert images.version(image) == version


@pytest.mark.parametrize(
    ("seen", "declared", "fits"),
    [
        ((15, 4), "15", True),
        ((15,), "15", True),
        ((150,), "15", False),
        ((8, 11), "8.11.0", None),
        ((8, 12), "8.11.0", False),
        ((), "7", None),
        ((7,), "7.5.0", None),
        ((2, 9, 3), "v2.9.3", True),
    ],
)
def test_a_version_fits_where_it_is_at_least_as_exact(
    seen: tuple[int, ...],
    declared: str,
    fits: bool | None,  # noqa: FBT001 - the expected answer
) -> None:
    assert images.fits(seen, declared) is fits


@pytest.mark.parametrize(
    ("use", "paths"),
    [
        (Use("c", "x", "/etc"), {"a.conf": "/etc/a.conf", "b.conf": "/etc/b.conf"}),
        (Use("c", "x", "/etc", (("a.conf", "sub/z"),)), {"a.conf": "/etc/sub/z"}),
        (Use("c", "x", "/etc", (("gone", "z"),)), {}),
        (Use("c", "x", "/etc/a", part="a.conf"), {"a.conf": "/etc/a"}),
        (Use("c", "x", "/etc", (("a.conf", "d/a"), ("b.conf", "e")), "d"), {"a.conf": "/etc/a"}),
        (Use("c", "x", "/etc", (("a.conf", "dir/a"),), "d"), {}),
    ],
)
def test_a_mount_shows_its_keys_as_files(use: Use, paths: dict[str, str]) -> None:
    assert use.paths(KEYS) == paths


@pytest.mark.parametrize(
    ("exempt", "expected"),
    [
        ((), False),
        (("pool",), True),
        (("pool=gpu",), True),
        (("pool=cpu",), False),
        (("pool=",), False),
        (("other", "pool=gpu"), True),
    ],
)
def test_nodes_are_exempt_by_label(exempt: tuple[str, ...], expected: bool) -> None:  # noqa: FBT001 - the expected answer
    node = Node({"metadata": {"name": "n", "labels": {"pool": "gpu"}}, "spec": {}})
    assert node.exempt(replace(AGENT, exempt_nodes=exempt)) is expected


def test_a_native_sidecar_is_no_preparing_container() -> None:
    spec = {
        "containers": [{"name": "main"}],
        "initContainers": [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}],
    }
    roles = {one.name: one.role for one in containers(spec)}
    assert roles == {"main": Role.MAIN, "setup": Role.INIT, "proxy": Role.SIDECAR}


def test_whoever_looks_again_waits_once_for_all(tmp_path: Any) -> None:
    pauses: list[float] = []

    class Watched(Replayer):
        def pause(self, seconds: float) -> None:
            pauses.append(seconds)

    view = Workloads(Watched(tmp_path))
    assert view.later is view.later
    assert view.later.sample == 1
    assert pauses == [60.0]
    assert (
        Question("kubernetes.list", "pods", {"kind": "pods"}, attempt=1).path
        != Question("kubernetes.list", "pods", {"kind": "pods"}).path
    )
