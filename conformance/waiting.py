"""Every time limit by name, and the one way of waiting: look again, judge once.

All limits are seconds. The time that has passed is read off the evidence, so a
replay decides exactly as the run did.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.evidence import Answer, Lens, Question


@dataclass(frozen=True)
class Limits:
    """How long things may take before the suite stops waiting for them."""

    connect: float = 5.0  # until a connection stands
    probe: float = 15.0  # one look, from its start to its last byte
    listing: float = 60.0  # one whole list of the API, all pages
    failover: float = 60.0  # a change of roles that is under way
    replication: float = 5.0  # a write, until a replica shows it
    settling: float = 30.0  # a stream that was cut, until it stands again
    rollout: float = 600.0  # a rollout that is still progressing
    skew: float = 2.0  # how far the cluster's clock may be off
    canary: float = 60.0  # one canary, from its first write to its removal
    logged: float = 30.0  # a statement, until the log shows it
    drill: float = 240.0  # a failover on purpose, until all is as before
    restart_window: float = 60.0  # between two samples of a restart count


LIMITS = Limits()


def wait_until(
    lens: Lens,
    question: Question,
    condition: Callable[[Answer], bool],
    *,
    limit: float,
    interval: float = 1.0,
) -> Answer:
    """Look again and again until `condition` holds or `limit` seconds have passed.

    Returns the last answer; the caller judges it. Errors are answers too:
    `condition` sees them and usually says False.
    """
    first = lens.look(replace(question, attempt=question.attempt))
    answer = first
    attempt = question.attempt
    while not condition(answer):
        if (answer.time - first.time).total_seconds() >= limit:
            return answer
        lens.pause(interval)
        attempt += 1
        later = lens.look(replace(question, attempt=attempt))
        if later.time <= first.time:  # a replay that has no further look, or not even a first
            return answer
        answer = later
    return answer
