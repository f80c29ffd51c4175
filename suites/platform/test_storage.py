"""Whether the platform has the storage that it was promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.quantity import quantity
from conformance.storage import LEAST_SPARE, below, told, unlimited

if TYPE_CHECKING:
    from conformance.platform import Platform, Workload
    from conformance.pods import Pod
    from conformance.settings import Settings
    from conformance.storage import Claim, Mount, Room, Storage
    from conformance.verdict import Verdict
    from conformance.workloads import Workloads

_KEEPS = "keeps its data on a claim"


@pytest.mark.control("PLT-RES-003")
def test_a_replica_claims_the_declared_storage(
    workload: Workload, workloads: Workloads, storage: Storage, verdict: Verdict
) -> None:
    """The claims that the component's container mounts add up to the declared size or more.

    A claim that it does not mount holds none of its data and does not count; nor do
    other replicas' claims.
    """
    asked = storage.requested(workloads.of(workload), workload.container)
    wanted = quantity(str(workload.storage))
    verdict.expect(
        sum(asked.values()) >= wanted,
        subject=workload.ref,
        claim="claims the declared storage for each replica",
        observed=", ".join(f"{name}: {told(size)}" for name, size in asked.items()) or "no claim",
        expected=f"at least {workload.storage} that is mounted",
        advice="claims of a StatefulSet cannot be changed: delete it with --cascade=orphan, "
        "make it anew, and enlarge the claims that exist",
    )


@pytest.mark.control("PLT-RES-004")
def test_volumes_are_as_large_as_claimed_where_they_are_used(
    workload: Workload,
    platform: Platform,
    workloads: Workloads,
    storage: Storage,
    settings: Settings,
    verdict: Verdict,
) -> None:
    """Every claim is bound, mounted, as large as it says, limited to that, and has room left.

    Asked with `df` in the container: a claim says what was promised. A volume that is
    a piece of a large disk without a limit shows the whole disk, and so do its
    neighbours. A file system itself takes some percent. Where its data are, the
    product says.
    """
    pods, claims = workloads.of(workload).staying, storage.claims
    if not verdict.at_least(1, pods, subject=workload.ref, claim="has pods"):
        return
    names = {one.name for one in platform.namespaces}
    near = tuple(one for one in workloads.pods if one.namespace in names)
    for pod in pods:
        mounts = storage.mounts(pod, workload.container)
        verdict.expect(
            bool(mounts),
            subject=pod.ref,
            claim="mounts a claim",
            observed=", ".join(one.claim for one in mounts) or "no claim is mounted",
            advice="mount the claim where the product keeps its data",
        )
        with verdict.about(pod.ref, _KEEPS):
            _kept(workload, pod, mounts, settings, verdict)
        for mount in mounts:
            claim = claims.get(mount.claim)
            if _granted(claim, mount, verdict) and claim:
                with verdict.about(mount, "shows its size"):
                    room = storage.room(pod, mount.container)
                    others = storage.neighbours(mount, near)
                    _sized(mount, claim, room[mount.path], verdict)
                    _limited(mount, claim, room, others, verdict)


def _kept(
    workload: Workload,
    pod: Pod,
    mounts: tuple[Mount, ...],
    settings: Settings,
    verdict: Verdict,
) -> None:
    if not settings.can_ask(workload):
        reason = f"the suite cannot ask {workload.product} for its folder yet"
        verdict.not_measured(subject=pod.ref, claim=_KEEPS, reason=reason)
        return
    folder = settings.of(workload, pod).folder
    if not folder:
        verdict.undecided(
            subject=pod.ref, claim=_KEEPS, reason="it does not say where its data are"
        )
        return
    verdict.expect(
        any(below(folder, one.path) for one in mounts),
        subject=pod.ref,
        claim=_KEEPS,
        observed=f"{folder}; claims at {', '.join(one.path for one in mounts) or 'no path'}",
        expected="a folder on a mounted claim",
        advice="set the product's data folder to where its claim is mounted",
    )


def _granted(claim: Claim | None, mount: Mount, verdict: Verdict) -> bool:
    return verdict.expect(
        claim is not None and claim.phase == "Bound" and claim.granted >= claim.asked,
        subject=mount,
        claim="is bound and as large as it asks for",
        observed=f"{claim.phase}, {told(claim.granted)}" if claim else "does not exist",
        expected=f"Bound, {told(claim.asked)}" if claim else "a bound claim",
        advice="see the events of the claim",
    )


def _sized(mount: Mount, claim: Claim, seen: Room, verdict: Verdict) -> None:
    verdict.expect(
        seen.place == mount.path and 10 * seen.size >= 9 * claim.asked,
        subject=mount,
        claim="is as large in the container as it asks for",
        observed=f"{told(seen.size)} mounted at {seen.place} from {seen.device}",
        expected=f"nine tenths of {told(claim.asked)}, mounted at {mount.path}",
        advice="the file system was not grown, or something else is mounted there",
    )
    verdict.expect(
        seen.spare > LEAST_SPARE,
        subject=mount,
        claim="has room left",
        observed=f"{float(seen.spare):.0%} of {told(seen.size)} is free",
        expected=f"more than {float(LEAST_SPARE):.0%}",
        advice="enlarge the claim or remove what is not needed",
    )


def _limited(
    mount: Mount, claim: Claim, room: dict[str, Room], others: list[Room], verdict: Verdict
) -> None:
    seen = room[mount.path]
    sharing = sum(one.device == seen.device for one in others)
    verdict.expect(
        not unlimited(seen, claim, others, room["/"]),
        subject=mount,
        claim="is limited to its size",
        observed=f"{told(seen.size)} on {seen.device}, which {sharing} other claims show too",
        expected=f"about {told(claim.granted)} of its own",
        advice="use a provisioner that enforces sizes: here one volume can fill the disk",
    )


@pytest.mark.control("PLT-RES-005")
def test_claims_use_a_class_made_for_production(
    platform: Platform, storage: Storage, verdict: Verdict
) -> None:
    """There is exactly one default class, and every platform claim uses one that is listed as SSD.

    A class's name says nothing by itself: the map lists the classes that somebody
    answers for. How fast they are, only a measurement under load shows.
    """
    verdict.expect(
        len(storage.defaults) == 1,
        subject="storage classes",
        claim="have exactly one default",
        observed=", ".join(storage.defaults) or "none",
        expected="one class that is marked as the default, by either annotation",
        advice="mark one class, and take the mark from the others",
    )
    names = {one["metadata"]["name"]: one for one in storage.classes}
    claims = storage.within({one.name for one in platform.namespaces if not one.absent})
    if not claims:
        verdict.undecided(
            subject="platform", claim="has claims", reason="no claim exists in its namespaces"
        )
    for claim in claims:
        used = names.get(claim.storage_class) or {}
        facts = ("provisioner", "reclaimPolicy", "allowVolumeExpansion", "volumeBindingMode")
        about = ", ".join(f"{key} {used.get(key)}" for key in facts)
        verdict.expect(
            claim.storage_class in platform.ssd_classes,
            subject=claim.ref,
            claim="uses a class that is listed as SSD",
            observed=f"{claim.storage_class or 'no class'} ({about})",
            expected=", ".join(platform.ssd_classes) or "a list in platform.ssd_classes",
            advice="move it to such a class, or list the class if it is one",
        )


@pytest.mark.control("PLT-CLU-003")
def test_the_declared_storage_is_bound(
    platform: Platform, storage: Storage, verdict: Verdict
) -> None:
    """The volumes bound to the platform's claims hold the declared storage.

    That is the cluster's minimum, and what the declared workloads need together:
    the document's own table asks for more than its minimum.
    """
    claims = storage.within({one.name for one in platform.namespaces if not one.absent})
    bound = storage.bound
    there = sum(bound.get(one.ref, 0) for one in claims)
    needed = sum(
        quantity(one.storage) * (one.replicas or 1)
        for one in platform.workloads
        if one.storage and not one.absent
    )
    lacking = ", ".join(f"{one.ref} {one.phase}" for one in claims if one.ref not in bound)
    for claim, least in (
        ("has the declared minimum of storage", quantity(platform.cluster.storage)),
        ("has the storage that its workloads need together", needed),
    ):
        verdict.expect(
            there >= least,
            subject="platform",
            claim=claim,
            observed=f"{float(there) / 1e9:.2f} GB bound to {len(claims)} claims"
            + (f"; not bound: {lacking}" if lacking else ""),
            expected=f"at least {float(least) / 1e9:.2f} GB",
            advice="see why claims are missing, pending or small",
        )
