"""Amounts of CPU and memory: what containers and pods reserve, as the scheduler counts it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from conformance.pods import Role, containers
from conformance.quantity import quantity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.pods import Container, Pod


@dataclass(frozen=True)
class Amount:
    """CPU in cores, memory in bytes, and a number of pods."""

    cpu: Fraction = Fraction(0)
    memory: Fraction = Fraction(0)
    pods: Fraction = Fraction(0)

    @classmethod
    def of(cls, given: dict[str, str] | None) -> Amount:
        """Read a resource list; what it does not name is zero."""
        found = given or {}
        names = ("cpu", "memory", "pods")
        return cls(*(quantity(str(found.get(name, "0"))) for name in names))

    def __add__(self, other: Amount) -> Amount:
        """Add each part."""
        return Amount(self.cpu + other.cpu, self.memory + other.memory, self.pods + other.pods)

    def __sub__(self, other: Amount) -> Amount:
        """Subtract each part."""
        return Amount(self.cpu - other.cpu, self.memory - other.memory, self.pods - other.pods)

    def most(self, other: Amount) -> Amount:
        """Return the larger of each part."""
        return Amount(
            max(self.cpu, other.cpu), max(self.memory, other.memory), max(self.pods, other.pods)
        )

    def within(self, other: Amount) -> bool:
        """Say whether no part is larger than the other's."""
        return self.cpu <= other.cpu and self.memory <= other.memory and self.pods <= other.pods

    def __str__(self) -> str:
        """Return cores and gigabytes, for people."""
        return f"{float(self.cpu):.3f} cores, {float(self.memory) / 1e9:.2f} GB"


def total(amounts: Iterable[Amount]) -> Amount:
    """Return the sum."""
    return sum(amounts, Amount())


def requests(container: Container) -> Amount:
    """Return what a container reserves: a limit without a request is one.

    While a container is being resized, the larger of old and new is reserved.
    """
    given = container.spec.get("resources") or {}
    asked = {**(given.get("limits") or {}), **(given.get("requests") or {})}
    actual = (container.status.get("resources") or {}).get("requests")
    return Amount.of(asked).most(Amount.of(container.status.get("allocatedResources") or actual))


def limits(container: Container) -> Amount:
    """Return what a container may use at most; zero stands for no limit."""
    return Amount.of((container.spec.get("resources") or {}).get("limits"))


def limits_in_force(container: Container) -> Amount:
    """Return the limits that the running container has; those of its spec where it does not say."""
    given = (container.status.get("resources") or {}).get("limits")
    return Amount.of(given) if given else limits(container)


def reserved(pod: Pod) -> Amount:
    """Return what a pod reserves on its node: sidecars run beside what prepares the pod."""
    spec = pod.item["spec"]
    running, peak = Amount(), Amount()
    # The API keeps the order of init containers, and sidecars start in that order.
    prepared = containers({"initContainers": spec.get("initContainers")}, pod.item.get("status"))
    for one in prepared:
        if one.role is Role.SIDECAR:
            running += requests(one)
            peak = peak.most(running)
        else:
            peak = peak.most(running + requests(one))
    main = total(requests(one) for one in pod.containers if one.role is Role.MAIN)
    needed = peak.most(running + main)
    whole = Amount.of((spec.get("resources") or {}).get("requests"))
    if (spec.get("resources") or {}).get("requests"):
        needed = Amount(whole.cpu or needed.cpu, whole.memory or needed.memory)
    return needed + Amount.of(spec.get("overhead")) + Amount(pods=Fraction(1))
