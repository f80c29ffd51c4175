"""Images: product and version by name and tag, identity by digest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.pods import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.platform import Workload
    from conformance.pods import Container
    from conformance.workloads import Controller

_VERSION = re.compile(r"v?(\d{1,3}(?:\.\d+)*)(?![\w.])")  # a date or a commit is no version


def repository(image: str) -> str:
    """Return the last part of an image's name, without registry, tag and digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def version(image: str) -> tuple[int, ...]:
    """Return the version that a tag begins with (`v1.20.0-distroless`: 1, 20, 0), or nothing."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found = _VERSION.match(tag)
    return tuple(map(int, found.group(1).split("."))) if found else ()


def fits(seen: tuple[int, ...], declared: str) -> bool | None:
    """Say whether a version is the declared one or a patch of it; None where it is too coarse."""
    wanted = tuple(map(int, re.findall(r"\d+", declared)))
    common = min(len(seen), len(wanted))
    if seen[:common] != wanted[:common]:
        return False
    return True if len(seen) >= len(wanted) and seen else None


def of_product(containers: Iterable[Container], workload: Workload) -> tuple[Container, ...]:
    """Return the containers whose image bears one of the declared names, as a whole word.

    Those that only prepare the pod do not count: a client of the product is not the product.
    """
    return tuple(
        one
        for one in containers
        if one.role is not Role.INIT
        and any(f"-{name}-" in f"-{repository(one.image)}-" for name in workload.images)
    )


def identities(workload: Controller) -> dict[str, dict[str, str]]:
    """Return which image each replica runs, by container and pod.

    Only containers of the workload's own template: what others inject, they version.
    """
    own = [one.name for one in workload.containers]
    return {
        name: {
            pod.name: one.image_id
            for pod in workload.staying
            for one in pod.containers
            if one.name == name and (one.image_id or pod.phase == "Running")
        }
        for name in own
    }


def digest(image_id: str) -> str:
    """Return the digest of what a runtime calls an image."""
    return image_id.rpartition("sha256:")[2]


def form(image_id: str) -> str:
    """Return the way in which a runtime names an image: by its manifest or by its own id."""
    return "manifest" if "@" in image_id else "id"
