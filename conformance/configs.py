"""ConfigMaps as they are, and as containers see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from posixpath import join
from typing import TYPE_CHECKING

from conformance.evidence import Question
from conformance.pods import Role
from conformance.verdict import UndecidedError
from conformance.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.cluster import Object
    from conformance.evidence import Answer, Lens
    from conformance.platform import Workload
    from conformance.pods import Container, Pod
    from conformance.products import Postgres
    from conformance.workloads import Controller

_SYNC = 90.0  # seconds that a kubelet may take to show a container what has changed
_NO_COMMAND = frozenset({None, 126, 127})


@dataclass(frozen=True)
class Content:
    """What a ConfigMap holds: SHA-256 by key, and when that was last changed."""

    files: dict[str, str]
    written: datetime


@dataclass(frozen=True)
class Use:
    """One way in which a container uses a ConfigMap.

    `place` is where it is mounted; empty where it is read into the environment, which
    never changes while the container runs. `items` maps keys to relative paths, empty
    for all keys; `part` is the one path of the volume that is mounted (`subPath`).
    """

    config_map: str
    container: str
    place: str = ""
    items: tuple[tuple[str, str], ...] = ()
    part: str = ""
    optional: bool = False

    def paths(self, keys: dict[str, str]) -> dict[str, str]:
        """Return the path of every key that the container must see as a file."""
        found = dict(self.items) or {key: key for key in keys}
        found = {key: path for key, path in found.items() if key in keys}
        if not self.part:
            return {key: join(self.place, path) for key, path in found.items()}
        return {
            key: join(self.place, path.removeprefix(self.part).lstrip("/")).rstrip("/")
            for key, path in found.items()
            if path == self.part or path.startswith(self.part + "/")
        }


@dataclass(frozen=True)
class Sight:
    """What a container sees: SHA-256 by path. `blind` says why it cannot be asked, if so."""

    digests: dict[str, str]
    blind: str = ""


@dataclass(frozen=True)
class Reader:
    """A running container that uses ConfigMaps.

    `wanted` is the SHA-256 of every file that it must see, by path; `names` are the
    ConfigMaps; `environment` those of them that it was given as variables; `written` is
    when the content of the youngest was last changed, at the latest.
    """

    pod: Pod
    container: str
    started: datetime
    wanted: dict[str, str]
    names: frozenset[str]
    environment: frozenset[str]
    written: datetime

    @property
    def ref(self) -> str:
        """Return `namespace/pod/container`."""
        return f"{self.pod.ref}/{self.container}"

    def declared(self, workload: Workload) -> bool:
        """Say whether it reads a ConfigMap that is declared (generated names end in a digest)."""
        return any(
            one == name or one.startswith(f"{name}-")
            for one in self.names
            for name in workload.config_maps
        )


def uses(workload: Controller) -> tuple[Use, ...]:
    """Return how the containers of a workload use ConfigMaps, by its template."""
    found = [use for one in workload.containers for use in _of_container(workload.template, one)]
    return tuple(dict.fromkeys(found))


def readers(workload: Controller, contents: dict[str, Content]) -> Iterator[Reader]:
    """Yield the running containers of a workload that use one of the ConfigMaps given by name."""
    known = [one for one in uses(workload) if one.config_map in contents]
    for pod in workload.staying:
        for container in pod.containers:
            own = [one for one in known if one.container == container.name]
            since = container.running_since
            if not own or since is None:
                continue
            wanted = {
                path: contents[one.config_map].files[key]
                for one in own
                if one.place
                for key, path in one.paths(contents[one.config_map].files).items()
            }
            names = frozenset(one.config_map for one in own)
            yield Reader(
                pod,
                container.name,
                since,
                wanted,
                names,
                frozenset(one.config_map for one in own if not one.place),
                max(contents[one].written for one in names),
            )


@dataclass(frozen=True)
class Configs:
    """Reads ConfigMaps by digest, and files of containers likewise."""

    lens: Lens

    def content(self, namespace: str, name: str) -> Content | None:
        """Return what a ConfigMap holds; None where it does not exist."""
        asked = Question(
            "configs.digests", f"{namespace}/{name}", {"namespace": namespace, "name": name}
        )
        answer = self.lens.look(asked)
        if answer.kind == "not-found":
            return None
        value = answer.value
        return Content(value["files"], datetime.fromisoformat(value["written"]))

    def sight(self, reader: Reader) -> Sight:
        """Return the digests of the files that a container sees.

        Where they differ and the content is young, looks again until the kubelet has
        had its time.
        """
        asked = _run(reader, "sha256sum", *sorted(reader.wanted))
        answer = self.lens.look(asked)
        patience = _SYNC - (answer.time - reader.written).total_seconds()
        if patience > 0:
            answer = wait_until(
                self.lens,
                asked,
                lambda one: bool(one.error) or _seen(one).digests == reader.wanted,
                limit=patience,
                interval=10.0,
            )
        return _seen(answer)

    def rewritten(self, reader: Reader) -> datetime | None:
        """Return when the files of a container were last written anew; None where nobody can say.

        A kubelet writes all files of a volume anew when the content of one of them
        changed, and leaves them alone when only the object around it did.
        """
        if reader.environment or not reader.wanted:
            return None
        value = self.lens.look(_run(reader, "stat", "-L", "-c", "%Y", *sorted(reader.wanted))).value
        if value["code"] != 0:
            return None
        return datetime.fromtimestamp(max(map(int, value["stdout"].split())), UTC)

    def reloaded(self, pod: Pod, product: Postgres) -> datetime:
        """Return when a PostgreSQL server last read its configuration, by its own word."""
        answer = self.lens.look(
            Question(
                "postgres.session",
                f"{pod.ref} configuration",
                {
                    "target": {"pod": {"namespace": pod.namespace, "name": pod.name, "ip": pod.ip}},
                    "port": product.port,
                    "login": product.monitoring,
                    "database": product.database,
                    "statements": ["SELECT extract(epoch FROM pg_conf_load_time())::float8"],
                },
            )
        )
        value = answer.value
        said = value["refused"] or value["results"][0].get("error")
        if said:
            raise UndecidedError(f"{pod.ref} does not say when it read its configuration: {said}")
        return datetime.fromtimestamp(float(value["results"][0]["rows"][0][0]), UTC)


def _run(reader: Reader, *command: str) -> Question:
    return Question(
        "streams.exec",
        reader.ref,
        {
            "namespace": reader.pod.namespace,
            "pod": reader.pod.name,
            "container": reader.container,
            "command": list(command),
        },
    )


def _seen(answer: Answer) -> Sight:
    value = answer.value
    if value["code"] in _NO_COMMAND:
        return Sight({}, f"sha256sum cannot run there: {value['failure'] or value['stderr']}")
    lines = (line.lstrip("\\").partition("  ") for line in value["stdout"].splitlines())
    return Sight({path: digest for digest, _, path in lines if path})


def _of_container(template: Object, container: Container) -> Iterator[Use]:
    name = container.name
    for one in container.spec.get("envFrom") or ():
        if given := one.get("configMapRef"):
            yield Use(given["name"], name, optional=bool(given.get("optional")))
    for one in container.spec.get("env") or ():
        if given := (one.get("valueFrom") or {}).get("configMapKeyRef"):
            yield Use(given["name"], name, optional=bool(given.get("optional")))
    if container.role is Role.INIT:  # it has ended, and with it whatever it saw
        return
    volumes = {one["name"]: one for one in template.get("volumes") or ()}
    for mount in container.spec.get("volumeMounts") or ():
        if mount.get("subPathExpr"):
            continue
        for source in _sources(volumes.get(mount["name"]) or {}):
            items = tuple((one["key"], one["path"]) for one in source.get("items") or ())
            optional = bool(source.get("optional"))
            part = str(mount.get("subPath") or "")
            yield Use(source["name"], name, mount["mountPath"], items, part, optional)


def _sources(volume: Object) -> Iterator[Object]:
    if given := volume.get("configMap"):
        yield given
    for one in (volume.get("projected") or {}).get("sources") or ():
        if given := one.get("configMap"):
            yield given
