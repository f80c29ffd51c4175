"""Service links: the environment variables that Kubernetes makes of Services."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.evidence import Question
from conformance.images import of_product

if TYPE_CHECKING:
    from conformance.endpoints import Backing
    from conformance.evidence import Lens
    from conformance.platform import Workload
    from conformance.pods import Pod
    from conformance.workloads import Controller

_LINK = re.compile(r"(tcp|udp|sctp)://\S+:\d+", re.IGNORECASE)
_NO_COMMAND = frozenset({None, 126, 127})


@dataclass(frozen=True)
class Environment:
    """The links that a container really has under a prefix; `blind` where it cannot be asked."""

    values: tuple[str, ...]
    blind: str = ""


@dataclass(frozen=True)
class Links:
    """Compares Services with prefixes, and looks into containers."""

    lens: Lens

    def wanted(self, workload: Controller) -> bool:
        """Say whether the pods of a workload are given links: they are unless they decline."""
        declined = workload.template.get("enableServiceLinks") is False
        return not declined or any(
            one.item["spec"].get("enableServiceLinks") is not False for one in workload.staying
        )

    def collides(self, service: Backing, workload: Workload) -> bool:
        """Say whether a Service's variables begin with exactly the product's prefix."""
        return _linked(service) and _variable(service) == workload.env_prefix

    def resembles(self, service: Backing, workload: Workload) -> bool:
        """Say whether they begin with the prefix and something more."""
        return _linked(service) and _variable(service).startswith(f"{workload.env_prefix}_")

    def environment(self, pod: Pod, workload: Workload) -> Environment:
        """Return the links under the product's prefix in its container; it reads no others."""
        names = [f"{workload.env_prefix}_PORT", f"{workload.env_prefix}_SERVICE_HOST"]
        answer = self.lens.look(
            Question(
                "streams.exec",
                pod.ref,
                {
                    "namespace": pod.namespace,
                    "pod": pod.name,
                    "container": _container(pod, workload),
                    "command": ["printenv", *names],
                },
            )
        )
        if answer.error:
            return Environment((), answer.reason)
        value = answer.content
        if value["code"] in _NO_COMMAND:
            told = value["failure"] or value["stderr"]
            return Environment((), f"printenv cannot run there: {told}")
        found = value["stdout"].split()
        return Environment(tuple(one for one in found if _LINK.fullmatch(one)))


def _linked(service: Backing) -> bool:
    """Say whether Kubernetes makes variables of a Service: only if it has an address."""
    return not service.headless and not service.external_name


def _variable(service: Backing) -> str:
    return service.name.upper().replace("-", "_")


def _container(pod: Pod, workload: Workload) -> str:
    """Return the product's container: by its declared name, by its image, or the first."""
    names = [one.name for one in pod.containers if one.role == "main"]
    if workload.container in names:
        return str(workload.container)
    bearing = [one.name for one in of_product(pod.containers, workload) if one.name in names]
    return (bearing or names)[0]
