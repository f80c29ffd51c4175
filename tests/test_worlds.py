"""Every control in the worlds that it must pass, fail and not decide."""

from __future__ import annotations

import pytest

from conformance.constitution import Status
from conformance.verdict import Outcome
from tests import replaying
from tests.replaying import LAB, World, constitution_with, decide, worlds

ALL = tuple(worlds())


@pytest.mark.parametrize("world", ALL, ids=lambda world: world.name)
def test_a_world_gets_its_verdict(world: World) -> None:
    outcome, verdict = decide(world)
    found = [[one.subject, one.claim, str(one.outcome)] for one in verdict.findings]
    assert str(outcome) == world.expected["outcome"], found
    missing = [one for one in world.expected.get("findings", []) if one not in found]
    assert not missing, found


def test_every_active_control_has_worlds_of_each_outcome() -> None:
    active = {c.id for c in constitution_with(LAB).controls if c.status is Status.ACTIVE}
    have: dict[str, set[str]] = {one: set() for one in active}
    for world in ALL:
        have.setdefault(world.folder.parent.name, set()).add(world.expected["outcome"])
    wanted = {str(Outcome.PASSED), str(Outcome.FAILED), str(Outcome.INCONCLUSIVE)}
    short = {control: sorted(wanted - seen) for control, seen in have.items() if wanted - seen}
    assert not short, "record them: python -m tests.worlds --help"


def test_every_world_belongs_to_a_control_that_has_a_test() -> None:
    assert {world.folder.parent.name for world in ALL} <= set(replaying.tests_by_control())
