"""Workloads as the cluster has them: Deployments, StatefulSets, DaemonSets, and their pods.

Pods are found by ownership, not by labels: whose pod it is, its controller says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from conformance.cluster import labels, ref
from conformance.evidence import Lens, Question
from conformance.platform import Kind
from conformance.pods import ROLLOUT, WINDOW, Container, Pod, condition, containers, controller_of
from conformance.verdict import UndecidedError
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from conformance.cluster import Object
    from conformance.platform import Workload

KINDS = {
    Kind.DEPLOYMENT: "deployments",
    Kind.STATEFUL_SET: "statefulsets",
    Kind.DAEMON_SET: "daemonsets",
}

_ANEW = 30_000  # samples after drills are told apart from all before


@dataclass(frozen=True)
class Count:
    """A number that a converged workload must show: what was counted, and what it must be."""

    claim: str
    seen: int
    wanted: int


@dataclass(frozen=True)
class Controller:
    """A Deployment, StatefulSet or DaemonSet, with the pods that it controls, at one moment.

    `pods` leaves out those that have ended for good.
    """

    kind: Kind
    item: Object
    pods: tuple[Pod, ...]
    taken: datetime

    @property
    def ref(self) -> str:
        """Return `namespace/name`."""
        return ref(self.item)

    @property
    def namespace(self) -> str:
        """Return its namespace."""
        return str(self.item["metadata"]["namespace"])

    @property
    def deleted(self) -> str:
        """Return since when it is being deleted, empty where nobody deleted it."""
        return str(self.item["metadata"].get("deletionTimestamp") or "")

    @property
    def desired(self) -> int:
        """Return how many pods it is to have now."""
        if self.kind is Kind.DAEMON_SET:
            return self._counted("desiredNumberScheduled")
        number = self.item["spec"].get("replicas")
        return 1 if number is None else int(number)

    @property
    def template(self) -> Object:
        """Return the spec of the pods that it makes."""
        spec: Object = self.item["spec"]["template"]["spec"]
        return spec

    @property
    def template_labels(self) -> dict[str, str]:
        """Return the labels of the pods that it makes."""
        return labels(self.item["spec"]["template"])

    @property
    def containers(self) -> tuple[Container, ...]:
        """Return the containers of its template."""
        return containers(self.template)

    @property
    def staying(self) -> tuple[Pod, ...]:
        """Return its pods without those that are being deleted."""
        return tuple(one for one in self.pods if not one.deleting)

    def counts(self) -> Iterator[Count]:
        """Yield what must be equal once a rollout is over.

        The controller's own numbers, and how many pods are really ready: a status
        that nobody updates any more goes on saying what once was true.
        """
        generation = int(self.item["metadata"].get("generation") or 0)
        seen = self._counted("observedGeneration")
        yield Count("has been seen by its controller as it is now", seen, generation)
        wanted = self.desired
        match self.kind:
            case Kind.DEPLOYMENT:
                yield Count("has no pods of an older template", self._counted("replicas"), wanted)
                yield Count("runs its current template", self._counted("updatedReplicas"), wanted)
                available = self._counted("availableReplicas")
                yield Count("has all its replicas available", available, wanted)
            case Kind.STATEFUL_SET:
                yield Count("runs its current template", self._updated(), wanted)
                ready = self._counted("readyReplicas")
                yield Count("has all its replicas ready", ready, wanted)
            case Kind.DAEMON_SET:
                updated = self._counted("updatedNumberScheduled")
                yield Count("runs its current template", updated, wanted)
                yield Count("is ready on every node", self._counted("numberReady"), wanted)
        ready = sum(1 for one in self.staying if one.ready)
        yield Count("has a ready pod for each of its replicas", ready, wanted)

    @property
    def converged(self) -> bool:
        """Say whether all counts are as they must be."""
        return all(one.seen == one.wanted for one in self.counts())

    @property
    def stuck(self) -> str:
        """Return what its controller says of a rollout that it gave up or cannot go on with."""
        failure = condition(self.item, "ReplicaFailure")
        progress = condition(self.item, "Progressing")
        if failure.get("status") == "True":
            return f"{failure.get('reason')}: {failure.get('message')}"
        if progress.get("status") == "False":
            return f"{progress.get('reason')}: {progress.get('message')}"
        return ""

    @property
    def moving(self) -> tuple[Pod, ...]:
        """Return the pods that changed between ready and not ready less than a window ago."""
        return tuple(
            one
            for one in self.pods
            if one.deleting or not one.ready or self.taken - one.ready_since < WINDOW
        )

    @property
    def steady(self) -> bool:
        """Say whether it has converged and nothing has moved for a window."""
        return self.converged and not self.moving

    @property
    def under_way(self) -> bool:
        """Say whether it is changing, and only pods move for which that is in order.

        Those are pods that came or go within the time of a rollout, and start without
        a complaint. A rollout that is held back (a partition, `OnDelete`) moves nothing.
        """
        return bool(self.moving) and not self.stuck and all(map(self._may_move, self.moving))

    def _may_move(self, pod: Pod) -> bool:
        if pod.deleting:
            return self.taken - pod.deleting < ROLLOUT
        return self.taken - pod.created < ROLLOUT and not pod.failing

    def _updated(self) -> int:
        """Count pods of the current template: under `OnDelete` the status lags behind for ever."""
        revision = (self.item.get("status") or {}).get("updateRevision")
        carried = (one.labels.get("controller-revision-hash") for one in self.staying)
        return sum(1 for one in carried if one == revision)

    def _counted(self, name: str) -> int:
        return int((self.item.get("status") or {}).get(name) or 0)


@dataclass(frozen=True)
class Workloads:
    """Reads workloads and pods. Raises `UndecidedError` where the API did not answer.

    `sample` 0 is how the cluster was first seen; `later` is the same, a window after.
    """

    lens: Lens
    sample: int = 0

    @cached_property
    def later(self) -> Workloads:
        """Return the cluster as it is a window later; whoever asks first waits."""
        self.lens.pause(LIMITS.restart_window)
        return Workloads(self.lens, self.sample + 1)

    @property
    def anew(self) -> Workloads:
        """Return the cluster as it is after what drills of the same run may have done to it."""
        return Workloads(self.lens, self.sample + _ANEW)

    @property
    def taken(self) -> datetime:
        """Return when the pods were listed."""
        answer = self.lens.look(self._question("pods"))
        _ = answer.value
        return answer.time

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Return all pods of the cluster."""
        return tuple(Pod(one) for one in self._all("pods"))

    @property
    def controllers(self) -> tuple[Controller, ...]:
        """Return all workloads of the cluster, of every kind."""
        return tuple(
            self._controller(kind, item) for kind in KINDS for item in self._all(KINDS[kind])
        )

    def find(self, declared: Workload) -> Controller | None:
        """Return the workload that is declared; None where there is none of that kind and name."""
        items = self._all(KINDS[declared.kind])
        found = next((one for one in items if ref(one) == declared.ref), None)
        return self._controller(declared.kind, found) if found else None

    def of(self, declared: Workload) -> Controller:
        """Return the workload that is declared; undecided where it does not exist."""
        found = self.find(declared)
        if found is None:
            reason = f"the {declared.kind} {declared.ref} does not exist (see PLT-WL-001)"
            raise UndecidedError(reason)
        return found

    def namesakes(self, declared: Workload) -> tuple[str, ...]:
        """Return the other kinds of workload that have the declared name."""
        others = (kind for kind in KINDS if kind is not declared.kind)
        return tuple(
            str(kind)
            for kind in others
            if any(ref(one) == declared.ref for one in self._all(KINDS[kind]))
        )

    def superseded(self, pod: Pod) -> bool:
        """Say whether a pod belongs to a Job that has completed, or to one whose successor has.

        Failed attempts of a Job that completed in the end are history, and so is a
        failed run of a CronJob after which another one completed.
        """
        if pod.owner.get("kind") != "Job":
            return False
        jobs = self._all("jobs")
        mine = next((one for one in jobs if one["metadata"].get("uid") == pod.owner["uid"]), None)
        if mine is None:
            return False
        parent = controller_of(mine).get("uid")
        done = [one for one in jobs if condition(one, "Complete").get("status") == "True"]
        siblings = [one for one in done if parent and controller_of(one).get("uid") == parent]
        return mine in done or any(_after(one, mine) for one in siblings)

    def _controller(self, kind: Kind, item: Object) -> Controller:
        uids = {item["metadata"].get("uid")}
        if kind is Kind.DEPLOYMENT:
            sets = self._all("replicasets")
            uids = {s["metadata"]["uid"] for s in sets if controller_of(s).get("uid") in uids}
        pods = tuple(one for one in self.pods if one.owner.get("uid") in uids and not one.over)
        return Controller(kind, item, pods, self.taken)

    def _all(self, kind: str) -> tuple[Object, ...]:
        return tuple(self.lens.look(self._question(kind)).value)

    def _question(self, kind: str) -> Question:
        return Question("kubernetes.list", kind, {"kind": kind}, attempt=self.sample)


def _after(one: Object, other: Object) -> bool:
    created = "creationTimestamp"
    return str(one["metadata"].get(created) or "") > str(other["metadata"].get(created) or "")
