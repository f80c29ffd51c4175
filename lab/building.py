"""Compile the lab's programs from their pinned sources into the cache, each once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import layout, steps

if TYPE_CHECKING:
    from pathlib import Path

GO_NEEDED = (1, 26, 4)
MODULES = layout.SOURCE / "gomods"


@dataclass(frozen=True)
class Program:
    """One executable: its module directory, the package to build, and the names it is called by."""

    module: str
    package: str
    names: tuple[str, ...]
    tags: str = ""
    variables: tuple[tuple[str, str], ...] = ()

    def flags(self) -> list[str]:
        """Return the build flags; they are part of the cache key."""
        values = [f"-X {name}={value}" for name, value in self.variables]
        return ["-p", "2", f"-tags={self.tags}", f"-ldflags={' '.join(['-s', '-w', *values])}"]

    def key(self, go: str) -> str:
        """Return the cache key: a digest of sources, checksums, flags and compiler."""
        parts = hashlib.sha256(json.dumps([go, self.package, self.flags()]).encode())
        for file in sorted((MODULES / self.module).iterdir()):
            parts.update(file.name.encode() + b"\0" + file.read_bytes())
        return parts.hexdigest()[:16]


def _kubernetes_version() -> tuple[tuple[str, str], ...]:
    major, minor, _ = layout.KUBERNETES.removeprefix("v").split(".")
    values = {
        "gitVersion": layout.KUBERNETES,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple(
        (f"{package}.{name}", value) for package in packages for name, value in values.items()
    )


KUBERNETES = Program(
    module="kube",
    package=".",
    names=(
        "kubectl",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "kubelet",
        "lab-volumes",
    ),
    tags="selinux,notest,grpcnotrace",
    variables=_kubernetes_version(),
)
ETCD = Program("etcd", "go.etcd.io/etcd/server/v3", ("etcd",))
ETCDCTL = Program("etcd", "go.etcd.io/etcd/etcdctl/v3", ("etcdctl",))
COREDNS = Program("coredns", ".", ("coredns",))
METRICS_SERVER = Program(
    "metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server", ("metrics-server",)
)
# These start the cluster; the others are compiled while it starts.
FIRST = (KUBERNETES, ETCD, ETCDCTL)


def compiler() -> str:
    """Return the version line of the Go compiler; raise StepError if it is absent or too old."""
    if not shutil.which("go"):
        raise steps.StepError("Go is not on PATH: install Go 1.26.4 or later")
    line = steps.output_of(["go", "version"]).strip()
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", line)
    version = tuple(int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    if version < GO_NEEDED:
        raise steps.StepError(f"Go 1.26.4 or later is needed, this is {line}")
    return line


def cached_at(program: Program) -> Path:
    """Return where the cache keeps a program of the present sources."""
    return layout.cache() / "programs" / f"{program.names[0]}-{program.key(compiler())}"


def kept() -> set[Path]:
    """Return the cached executables that the present sources use."""
    return {cached_at(program) for program in (*FIRST, COREDNS, METRICS_SERVER)}


def build(program: Program) -> Path:
    """Return the program's cached executable, compiled now if it is not there yet."""
    cached = cached_at(program)
    if not cached.exists():
        log = layout.cache() / "logs" / f"build-{program.names[0]}.log"
        with steps.step(f"compile {program.names[0]} (first time only)", log):
            cached.parent.mkdir(parents=True, exist_ok=True)
            unfinished = cached.with_suffix(".new")
            command = ["go", "build", *program.flags(), "-o", str(unfinished), program.package]
            steps.run(command, log, cwd=MODULES / program.module, env=environment())
            unfinished.replace(cached)
    for name in program.names:
        _link(layout.binary(name), cached)
    return cached


def environment() -> dict[str, str]:
    """Return the environment of the compiler: everything it keeps goes into the lab's cache."""
    settings = {
        "GOCACHE": str(layout.cache() / "go-build"),
        "GOMODCACHE": str(layout.cache() / "go-mod"),
        "GOFLAGS": "-mod=mod -trimpath -buildvcs=false -modcacherw",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    return {**os.environ, **settings}


def _link(name: Path, target: Path) -> None:
    if name.is_symlink() and name.readlink() == target:
        return
    name.parent.mkdir(parents=True, exist_ok=True)
    temporary = name.with_name(f".{name.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(name)
