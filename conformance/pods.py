"""Pods and their containers, as the API tells of them at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from conformance.cluster import labels, ref
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from conformance.cluster import Object

ROLLOUT = timedelta(seconds=LIMITS.rollout)
WINDOW = timedelta(seconds=LIMITS.restart_window)
STABLE = timedelta(minutes=5)  # without a restart, before a pod counts as stable
MEMORY = timedelta(hours=24)  # how long an end for lack of memory is held against a container
OFTEN = timedelta(hours=6)  # restarts that come closer together than this are no accident
_REPEATED = 3  # restarts that make a mean interval worth computing
_PREPARING = frozenset({"", "ContainerCreating", "PodInitializing"})
_SHUT_DOWN = frozenset({"Terminated", "NodeShutdown", "Shutdown"})


class Role(StrEnum):
    """What a container is to its pod: only `init` containers are meant to end."""

    INIT = "init"
    SIDECAR = "sidecar"
    MAIN = "main"


class Standing(StrEnum):
    """How a pod is doing."""

    WELL = "well"
    STARTING = "starting"
    LEAVING = "leaving"
    FINISHED = "finished"
    BROKEN = "broken"


@dataclass(frozen=True)
class Ending:
    """How a container ended."""

    reason: str
    code: int
    at: datetime | None

    def __str__(self) -> str:
        """Return reason, exit code and time."""
        return f"{self.reason or 'ended'} (exit code {self.code}) at {self.at or 'an unknown time'}"


@dataclass(frozen=True)
class Container:
    """A container of a pod: what the pod asks for, and its status where there is one yet."""

    role: Role
    spec: Object
    status: Object

    @property
    def name(self) -> str:
        """Return its name."""
        return str(self.spec["name"])

    @property
    def image(self) -> str:
        """Return the image that the pod asks for."""
        return str(self.spec.get("image") or "")

    @property
    def image_id(self) -> str:
        """Return which image the runtime says it runs, empty before it runs one."""
        return str(self.status.get("imageID") or "")

    @property
    def waiting(self) -> str:
        """Return why it waits, empty where it does not or is only being prepared."""
        reason = ((self.status.get("state") or {}).get("waiting") or {}).get("reason") or ""
        return "" if reason in _PREPARING else reason

    @property
    def running_since(self) -> datetime | None:
        """Return when its process started, None while none runs."""
        running = (self.status.get("state") or {}).get("running")
        return moment(running.get("startedAt")) if running else None

    @property
    def restarts(self) -> int:
        """Return how often it was started again."""
        return int(self.status.get("restartCount") or 0)

    @property
    def ending(self) -> Ending | None:
        """Return the latest end that the API still knows."""
        for key in ("state", "lastState"):
            end = (self.status.get(key) or {}).get("terminated")
            if end:
                at = moment(end.get("finishedAt"))
                return Ending(str(end.get("reason") or ""), int(end.get("exitCode") or 0), at)
        return None

    def unrest(self, now: datetime, pod_age: timedelta) -> str:
        """Return what shows that it does not run steadily, empty where nothing does.

        One look is enough: the times of the last end and of the last start say what
        a second look would have shown.
        """
        end = self.ending
        if end and end.reason == "OOMKilled" and end.at and now - end.at < MEMORY:
            return f"was killed for lack of memory: {end}"
        if not self.restarts or self.role is Role.INIT:
            return ""
        last = max(filter(None, (end.at if end else None, self.running_since)), default=None)
        if last is None:
            return f"restarted {self.restarts} times and does not run"
        told = f"{self.restarts} restarts, the last at {last}" + (f", after {end}" if end else "")
        mean = pod_age / self.restarts
        again = self.restarts >= _REPEATED and mean < OFTEN and now - last < 2 * mean
        return told if again or now - last < STABLE else ""


@dataclass(frozen=True)
class Pod:
    """A pod."""

    item: Object

    @property
    def ref(self) -> str:
        """Return `namespace/name`."""
        return ref(self.item)

    @property
    def name(self) -> str:
        """Return its name."""
        return str(self.item["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Return its namespace."""
        return str(self.item["metadata"]["namespace"])

    @property
    def labels(self) -> dict[str, str]:
        """Return its labels."""
        return labels(self.item)

    @property
    def node(self) -> str:
        """Return the node it is placed on, empty before it is placed."""
        return str(self.item["spec"].get("nodeName") or "")

    @property
    def ip(self) -> str:
        """Return its address, empty before it has one."""
        return str(self._status.get("podIP") or "")

    @property
    def phase(self) -> str:
        """Return its phase."""
        return str(self._status.get("phase") or "Unknown")

    @property
    def owner(self) -> Object:
        """Return the reference to its controller, empty where it has none."""
        return controller_of(self.item)

    @property
    def created(self) -> datetime:
        """Return when it was created."""
        return moment(self.item["metadata"].get("creationTimestamp")) or _EVER

    @property
    def deleting(self) -> datetime | None:
        """Return by when it was to be gone, None where nobody deleted it."""
        return moment(self.item["metadata"].get("deletionTimestamp"))

    @property
    def ready(self) -> bool:
        """Say whether its condition Ready holds."""
        return self._condition("Ready").get("status") == "True"

    @property
    def ready_since(self) -> datetime:
        """Return when Ready last changed."""
        return moment(self._condition("Ready").get("lastTransitionTime")) or self.created

    @property
    def over(self) -> bool:
        """Say whether its containers have ended for good."""
        return self.phase in {"Succeeded", "Failed"}

    @property
    def containers(self) -> tuple[Container, ...]:
        """Return its containers, those that prepare it included, ephemeral ones not."""
        return containers(self.item["spec"], self._status)

    @property
    def failing(self) -> str:
        """Return which container cannot start and why, empty where none is in that state."""
        found = (f"{one.name} waits: {one.waiting}" for one in self.containers if one.waiting)
        return next(found, "")

    def unrest(self, now: datetime) -> str:
        """Return what shows that a container does not run steadily, empty where nothing does."""
        for one in self.containers:
            if said := one.unrest(now, now - self.created):
                return f"{one.name}: {said}"
        return ""

    def standing(self, now: datetime) -> tuple[Standing, str]:
        """Say how the pod is doing at `now`, and what shows it.

        A pod that is not ready is starting for as long as a rollout may take, unless
        a container cannot start at all.
        """
        if self.deleting:
            overdue = now - self.deleting > ROLLOUT
            told = f"was to be gone by {self.deleting}"
            return (Standing.BROKEN if overdue else Standing.LEAVING), told
        if self.phase == "Succeeded" or self._condition("Ready").get("reason") == "PodCompleted":
            return Standing.FINISHED, self.phase
        if self.phase == "Failed":
            return self._failed(now)
        if self.failing:
            return Standing.BROKEN, self.failing
        if self.phase == "Running" and self.ready:
            return Standing.WELL, "Running and Ready"
        young = now - self.created < ROLLOUT
        return (Standing.STARTING if young else Standing.BROKEN), self._not_ready()

    def _failed(self, now: datetime) -> tuple[Standing, str]:
        """Judge a pod that ended badly: one that was replaced after a shutdown is history."""
        reason = str(self._status.get("reason") or "")
        ends = [one.ending.at for one in self.containers if one.ending and one.ending.at]
        at = max(ends, default=self.created)
        replaced = self.owner.get("kind") not in {None, "Job"}
        if replaced and (reason in _SHUT_DOWN or now - at > MEMORY):
            return Standing.FINISHED, f"was replaced: {reason or 'Failed'}"
        return Standing.BROKEN, f"Failed: {reason or 'its containers ended badly'} at {at}"

    def _not_ready(self) -> str:
        wanting = [c for c in self._status.get("conditions") or () if c.get("status") != "True"]
        parts = (
            (one["type"], "is", one["status"], one.get("reason"), one.get("message"))
            for one in wanting
        )
        return "; ".join((self.phase, *(" ".join(filter(None, one)) for one in parts)))

    def _condition(self, name: str) -> Object:
        return condition(self.item, name)

    @property
    def _status(self) -> Object:
        return self.item.get("status") or {}


_EVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def moment(text: str | None) -> datetime | None:
    """Return a time of the API (RFC 3339); None stays None."""
    return datetime.fromisoformat(text) if text else None


def condition(item: Object, name: str) -> Object:
    """Return a condition of an object's status, empty where it has none of that name."""
    found = (item.get("status") or {}).get("conditions") or ()
    return next((one for one in found if one["type"] == name), {})


def controller_of(item: Object) -> Object:
    """Return the reference to the object's controller, empty where it has none."""
    owners = item["metadata"].get("ownerReferences") or ()
    return next((one for one in owners if one.get("controller")), {})


def containers(spec: Object, status: Object | None = None) -> tuple[Container, ...]:
    """Return the containers of a pod's spec, or of a template's, with what their status says."""
    known = status or {}
    states = {
        one["name"]: one
        for key in ("initContainerStatuses", "containerStatuses")
        for one in known.get(key) or ()
    }
    found = [(Role.MAIN, one) for one in spec.get("containers") or ()]
    found += [
        (Role.SIDECAR if one.get("restartPolicy") == "Always" else Role.INIT, one)
        for one in spec.get("initContainers") or ()
    ]
    return tuple(Container(role, one, states.get(one["name"]) or {}) for role, one in found)
