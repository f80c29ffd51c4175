"""Whether pods find room on nodes, as the scheduler would have to find it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from conformance.amounts import Amount, reserved, total

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.capacity import Node
    from conformance.pods import Pod

_BOUND = frozenset({"DaemonSet", "Node"})  # owners whose pods are lost together with the node
_SEARCHED = 20_000  # nodes looked at before a search counts as fruitless


@dataclass(frozen=True)
class Load:
    """A pod, and what it reserves."""

    pod: Pod
    amount: Amount


@dataclass(frozen=True)
class Packed:
    """Whether every pod has room; None where none was found and none can be excluded."""

    fits: bool | None
    needed: Amount
    offered: Amount
    moving: int


@dataclass(frozen=True)
class Packing:
    """The nodes that can be used, and who reserves what on which.

    What runs on nodes kept for the control plane is left out. What is on other nodes
    that cannot be used is to be placed again, unless it belongs to its node.
    """

    nodes: tuple[Node, ...]
    held: dict[str, tuple[Load, ...]]
    homeless: tuple[Load, ...]

    @classmethod
    def of(cls, nodes: Iterable[Node], pods: Iterable[Pod]) -> Packing:
        """Sort pods by where they are."""
        known = tuple(nodes)
        usable = tuple(one for one in known if not one.unfit)
        names = {one.name for one in usable}
        apart = {one.name for one in known if one.controls}
        held: dict[str, list[Load]] = defaultdict(list)
        homeless = []
        for pod in pods:
            if pod.node in apart:
                continue
            load = Load(pod, reserved(pod))
            if pod.node in names:
                held[pod.node].append(load)
            elif not pod.node or _moves(pod):
                homeless.append(load)
        return cls(usable, {name: tuple(found) for name, found in held.items()}, tuple(homeless))

    def without(self, lost: Node | None) -> Packed:
        """Say whether every pod has room when a node is lost; nothing that stays is moved."""
        left = [one for one in self.nodes if one is not lost]
        room = {one.name: one.allocatable - self._on(one) for one in left}
        gone = self.held.get(lost.name, ()) if lost else ()
        moving = [*self.homeless, *(one for one in gone if _moves(one.pod))]
        offered = total(one.allocatable for one in left)
        fits: bool | None = all(Amount().within(one) for one in room.values())
        if fits:
            fits = _Search(left, room, offered).place(moving)
        needed = total([*(self._on(one) for one in left), *(one.amount for one in moving)])
        return Packed(fits, needed, offered, len(moving))

    @cached_property
    def _sums(self) -> dict[str, Amount]:
        return {name: total(one.amount for one in found) for name, found in self.held.items()}

    def _on(self, node: Node) -> Amount:
        return self._sums.get(node.name, Amount())


def _moves(pod: Pod) -> bool:
    return pod.owner.get("kind") not in _BOUND and not pod.deleting


class _Search:
    """Places the largest pods first, where most is free, and goes back where that leads nowhere."""

    def __init__(self, nodes: list[Node], room: dict[str, Amount], offered: Amount) -> None:
        self._room = room
        self._nodes = sorted(nodes, key=lambda one: room[one.name].cpu, reverse=True)
        self._offered = offered
        self._left = _SEARCHED

    def place(self, loads: list[Load]) -> bool | None:
        def size(load: Load) -> float:
            return max(
                float(load.amount.cpu / (self._offered.cpu or 1)),
                float(load.amount.memory / (self._offered.memory or 1)),
            )

        return self._from(sorted(loads, key=size, reverse=True), 0)

    def _from(self, loads: list[Load], number: int) -> bool | None:
        if number == len(loads):
            return True
        load = loads[number]
        answer: bool | None = False
        for node in self._nodes:
            self._left -= 1
            if self._left < 0:
                return None
            free = self._room[node.name]
            if not load.amount.within(free) or not node.takes(load.pod):
                continue
            self._room[node.name] = free - load.amount
            found = self._from(loads, number + 1)
            if found:
                return True
            self._room[node.name] = free
            answer = None if found is None else answer
        return answer
