"""What the lab takes back from the machine is what it added, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab import building, cluster, images, layout, machine, network

if TYPE_CHECKING:
    import pytest

SAVED = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:KUBE-FORWARD - [0:0]
:DOCKER - [0:0]
:AIK-LAB - [0:0]
-A FORWARD -j AIK-LAB
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -j DOCKER
-A AIK-LAB -d 10.244.0.0/16 -j REJECT
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A DOCKER -m comment --comment "not AIK-LAB or KUBE-FORWARD" -j RETURN
COMMIT
"""
KEPT = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:DOCKER - [0:0]
-A FORWARD -j DOCKER
-A DOCKER -m comment --comment "not AIK-LAB or KUBE-FORWARD" -j RETURN
COMMIT
"""
MOUNTS = """\
27 1 254:0 / / rw,relatime {shared}- ext4 /dev/vda rw
30 27 0:5 / /lab/nodes/a rw - tmpfs tmpfs rw
31 30 0:5 / /lab/nodes/a/with\\040space rw - tmpfs tmpfs rw
32 27 0:5 / /laboratory rw - tmpfs tmpfs rw
"""


def test_only_the_labs_chains_are_taken_out() -> None:
    assert network.without_ours(SAVED) == KEPT
    assert network.without_ours(KEPT) == KEPT


def test_mounts_in_a_directory_are_found_innermost_first() -> None:
    found = machine.mounts_below(Path("/lab"), MOUNTS)
    assert found == ["/lab/nodes/a/with space", "/lab/nodes/a"]


def test_a_shared_root_is_told_from_a_private_one() -> None:
    assert machine.root_is_shared(MOUNTS.format(shared="shared:1 "))
    assert not machine.root_is_shared(MOUNTS.format(shared=""))
    assert not machine.root_is_shared(MOUNTS.format(shared="master:1 "))


def test_a_program_is_made_again_when_flags_or_compiler_change() -> None:
    known = building.KUBERNETES.key("go1")
    assert building.KUBERNETES.key("go1") == known
    assert building.KUBERNETES.key("go2") != known
    assert building.ETCD.key("go1") != building.ETCDCTL.key("go1")


def test_places_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIK_LAB_STATE", str(tmp_path / "s"))
    monkeypatch.setenv("AIK_LAB_CACHE", str(tmp_path / "c"))
    assert layout.kubeconfig() == tmp_path / "s" / "kubeconfig"
    assert layout.binary("etcd") == tmp_path / "c" / "bin" / "etcd"
    assert {node.zone for node in layout.NODES} == {"lab-a", "lab-b", "lab-c"}


def test_controllers_are_handed_down_on_a_v2_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    for group in (tmp_path, tmp_path / "aik-lab", tmp_path / "aik-lab" / "lab-1"):
        group.mkdir(exist_ok=True)
        (group / "cgroup.controllers").write_text("memory\n")
        (group / "cgroup.subtree_control").write_text("")
    machine._make_group("aik-lab/lab-1")  # noqa: SLF001 - its caller needs root
    for group in (tmp_path, tmp_path / "aik-lab", tmp_path / "aik-lab" / "lab-1"):
        assert (group / "cgroup.subtree_control").read_text() == "+memory"


def test_processes_in_the_labs_groups_are_found_on_a_v1_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    for path, pid in (("cpu/aik-lab/lab-1/pod", 7), ("memory/aik-lab/lab-2", 8), ("cpu", 9)):
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
        (tmp_path / path / "cgroup.procs").write_text(f"{pid}\n")
    (tmp_path / "unified").mkdir()
    assert machine.own_processes() == {7, 8}
    assert machine.own_processes("aik-lab/lab-1") == {7}


def test_pruning_keeps_what_the_next_start_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIK_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(building, "compiler", lambda: "go1")
    [image, *_] = cluster.packaged()
    wanted = {building.cached_at(building.ETCD), *images.kept([image])}
    stale = {tmp_path / "programs" / "etcd-old", tmp_path / "layers" / "packages-old.tar"}
    work = tmp_path / "go-build" / "00" / "object"
    for path in (*wanted, *stale, work):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    cluster.prune()
    assert all(path.exists() for path in wanted)
    assert not any(path.exists() for path in (*stale, work))
