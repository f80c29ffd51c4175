"""Claims, volumes and classes; and how large a volume is where the process sees it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from conformance.cluster import Cluster, ref
from conformance.evidence import Question
from conformance.pods import Role
from conformance.quantity import quantity
from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.cluster import Object
    from conformance.evidence import Lens
    from conformance.pods import Container, Pod
    from conformance.workloads import Controller

_DEFAULT = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_MUCH_LARGER = Fraction(
    3, 2
)  # disks come in sizes: only what is far larger has no limit of its own
LEAST_SPARE = Fraction(15, 100)
_COLUMNS = 6  # of a line of df -P


@dataclass(frozen=True)
class Claim:
    """A PersistentVolumeClaim. Sizes are bytes; `granted` is 0 before it is bound."""

    ref: str
    phase: str
    asked: Fraction
    granted: Fraction
    storage_class: str
    volume: str

    @classmethod
    def of(cls, item: Object) -> Claim:
        """Read a claim."""
        spec, status = item["spec"], item.get("status") or {}
        notes = item["metadata"].get("annotations") or {}
        older = notes.get("volume.beta.kubernetes.io/storage-class", "")
        return cls(
            ref=ref(item),
            phase=str(status.get("phase") or "Pending"),
            asked=_size((spec.get("resources") or {}).get("requests")),
            granted=_size(status.get("capacity")),
            storage_class=str(spec.get("storageClassName") or older),
            volume=str(spec.get("volumeName") or ""),
        )


@dataclass(frozen=True)
class Mount:
    """A claim where a container sees it."""

    pod: Pod
    container: str
    path: str
    claim: str

    def __str__(self) -> str:
        """Return claim and path, as findings name them."""
        return f"{self.claim} at {self.path}"


@dataclass(frozen=True)
class Room:
    """What `df` says of a path in a container. Sizes are bytes; `place` is the mount point."""

    device: str
    size: int
    used: int
    free: int
    place: str

    @property
    def spare(self) -> Fraction:
        """Return the part that is still free, of what can be used at all."""
        usable = self.used + self.free
        return Fraction(self.free, usable) if usable else Fraction(0)


def told(size: Fraction | int) -> str:
    """Return a size for people."""
    return f"{float(size) / 2**30:.2f} Gi"


@dataclass(frozen=True)
class Storage:
    """Reads storage. Raises `UndecidedError` where the API or a container did not answer."""

    lens: Lens
    cluster: Cluster

    @property
    def claims(self) -> dict[str, Claim]:
        """Return every claim by its reference."""
        found = (Claim.of(one) for one in self.cluster.all("persistentvolumeclaims"))
        return {one.ref: one for one in found}

    @property
    def classes(self) -> tuple[Object, ...]:
        """Return the storage classes."""
        return self.cluster.all("storageclasses")

    @property
    def defaults(self) -> tuple[str, ...]:
        """Return the names of the classes that are marked as the default one."""
        return tuple(
            str(one["metadata"]["name"])
            for one in self.classes
            if any((one["metadata"].get("annotations") or {}).get(n) == "true" for n in _DEFAULT)
        )

    @property
    def bound(self) -> dict[str, Fraction]:
        """Return the capacity of each bound volume, by the claim that both agree on."""
        found: dict[str, Fraction] = {}
        claims = self.claims
        for item in self.cluster.all("persistentvolumes"):
            given = item["spec"].get("claimRef") or {}
            name = f"{given.get('namespace')}/{given.get('name')}"
            claim = claims.get(name)
            mutual = claim is not None and claim.volume == item["metadata"]["name"]
            if mutual and (item.get("status") or {}).get("phase") == "Bound":
                found[name] = _size(item["spec"].get("capacity"))
        return found

    def within(self, namespaces: set[str]) -> tuple[Claim, ...]:
        """Return the claims of some namespaces."""
        return tuple(one for one in self.claims.values() if one.ref.partition("/")[0] in namespaces)

    def requested(self, workload: Controller, container: str | None) -> dict[str, Fraction]:
        """Return the sizes that one replica asks for, by claim.

        Only claims that the container mounts count; without a name, those of any.
        """
        mounted = {
            mount["name"]
            for one in workload.containers
            if one.name == container or (container is None and one.role is not Role.INIT)
            for mount in one.spec.get("volumeMounts") or ()
        }
        made = workload.item["spec"].get("volumeClaimTemplates") or ()
        sizes = {one["metadata"]["name"]: _asked(one) for one in made}
        for one in workload.template.get("volumes") or ():
            if template := (one.get("ephemeral") or {}).get("volumeClaimTemplate"):
                sizes.setdefault(one["name"], _asked(template))
            if given := one.get("persistentVolumeClaim"):
                claim = self.claims.get(f"{workload.namespace}/{given['claimName']}")
                sizes.setdefault(one["name"], claim.asked if claim else Fraction(0))
        return {name: size for name, size in sizes.items() if name in mounted}

    def mounts(self, pod: Pod, container: str | None) -> tuple[Mount, ...]:
        """Return the claims that a container of a pod mounts; without a name, those of all."""
        chosen = [one for one in pod.containers if one.name == container]
        if container and not chosen:
            raise UndecidedError(f"{pod.ref} has no container {container}")
        chosen = chosen or [one for one in pod.containers if one.role is Role.MAIN]
        return tuple(one for each in chosen for one in _mounts(pod, each))

    def room(self, pod: Pod, container: str) -> dict[str, Room]:
        """Return what the container sees of every claim it mounts, and of `/`, by path.

        Raises:
            UndecidedError: where `df` does not run there.
        """
        paths = sorted({one.path for one in self.mounts(pod, container)})
        answer = self.lens.look(
            Question(
                "streams.exec",
                f"{pod.ref}/{container}",
                {
                    "namespace": pod.namespace,
                    "pod": pod.name,
                    "container": container,
                    "command": ["df", "-kP", "/", *paths],
                },
            )
        )
        value = answer.value
        rooms = [_room(line) for line in value["stdout"].splitlines()[1:]]
        if value["code"] != 0 or len(rooms) != len(paths) + 1:
            said = value["failure"] or value["stderr"]
            raise UndecidedError(f"df does not say what {pod.ref} sees: {said}", (answer.path,))
        return dict(zip(["/", *paths], rooms, strict=True))

    def neighbours(self, mount: Mount, pods: tuple[Pod, ...]) -> list[Room]:
        """Return what containers of the same node see of other claims, where they say it."""
        near = [one for one in pods if one.node == mount.pod.node and one.phase == "Running"]
        others = [one for pod in near for one in self.mounts(pod, None) if one.claim != mount.claim]
        found = []
        for one in others:
            with suppress(UndecidedError):
                found.append(self.room(one.pod, one.container)[one.path])
        return found


def unlimited(room: Room, claim: Claim, others: list[Room], root: Room) -> bool:
    """Say whether a claim's size limits nothing: the volume is a large disk that others use too."""
    much = room.size > _MUCH_LARGER * claim.granted
    shared = any(one.device == room.device and one.size == room.size for one in others)
    return much and (shared or (room.size, room.used) == (root.size, root.used))


def below(folder: str, place: str) -> bool:
    """Say whether a folder is a place or stands below it."""
    path = PurePosixPath(folder)
    return path.is_absolute() and path.is_relative_to(place)


def _mounts(pod: Pod, container: Container) -> Iterator[Mount]:
    volumes = {one["name"]: one for one in pod.item["spec"].get("volumes") or ()}
    for mount in container.spec.get("volumeMounts") or ():
        volume = volumes.get(mount["name"]) or {}
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if volume.get("ephemeral"):
            name = f"{pod.name}-{mount['name']}"
        if name:
            path = str(mount["mountPath"]).rstrip("/") or "/"
            yield Mount(pod, container.name, path, f"{pod.namespace}/{name}")


def _room(line: str) -> Room:
    words = line.rsplit(None, _COLUMNS - 1)
    try:
        device, size, used, free, _, place = words
        return Room(device, int(size) * 1024, int(used) * 1024, int(free) * 1024, place)
    except ValueError as error:
        raise UndecidedError(f"df wrote a line that is none of its own: {line!r}") from error


def _asked(claim: Object) -> Fraction:
    return _size((claim["spec"].get("resources") or {}).get("requests"))


def _size(given: Object | None) -> Fraction:
    return quantity(str((given or {}).get("storage", "0")))
