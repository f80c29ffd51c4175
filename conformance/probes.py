"""Probes of containers, as templates declare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.injection import SIDECAR
from conformance.pods import Role

if TYPE_CHECKING:
    from conformance.cluster import Object
    from conformance.pods import Container
    from conformance.workloads import Controller

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_NOTHING = frozenset({"true", ":", "exit 0", "exit"})
_SHELLS = frozenset({"sh", "bash", "ash", "dash"})


def is_proxy(container: Container) -> bool:
    """Say whether a container is a proxy of the mesh."""
    return container.name == SIDECAR


def lasting(workload: Controller) -> tuple[Container, ...]:
    """Return the containers of a template that run for long.

    A proxy is part of the workload only where there is nothing else.
    """
    found = [one for one in workload.containers if one.role is not Role.INIT]
    own = tuple(one for one in found if not is_proxy(one))
    return own or tuple(found)


def can_fail(probe: Object | None) -> bool:
    """Say whether there is a probe that looks at something."""
    if not probe or not any(name in probe for name in _HANDLERS):
        return False
    command = (probe.get("exec") or {}).get("command")
    return command is None or not _does_nothing([str(one) for one in command])


def told(probe: Object | None) -> str:
    """Return a probe in words."""
    if not probe:
        return "no such probe"
    found = [f"{name} {probe[name]}" for name in _HANDLERS if name in probe]
    return found[0] if found else "a probe that asks nothing"


def _does_nothing(command: list[str]) -> bool:
    program = command[0].rpartition("/")[2] if command else ""
    if program in _SHELLS and command[1:2] == ["-c"]:
        return command[2].strip().rstrip(";").strip() in _NOTHING
    return not command or program == "true"
