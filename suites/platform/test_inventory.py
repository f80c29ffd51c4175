"""What runs: the declared workloads, in the declared number and version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance import images

if TYPE_CHECKING:
    from conformance.autoscaling import Autoscaling
    from conformance.platform import Workload
    from conformance.verdict import Verdict
    from conformance.workloads import Controller, Workloads


@pytest.mark.control("PLT-WL-001")
def test_a_declared_workload_exists_with_its_replicas(
    workload: Workload, workloads: Workloads, autoscaling: Autoscaling, verdict: Verdict
) -> None:
    """A declared workload is there, of its kind, of its product, and as large as declared.

    The number of an autoscaled workload belongs to its autoscaler: then the
    autoscaler's lower bound is what the declared number means.
    """
    found = workloads.find(workload)
    others = ", ".join(workloads.namesakes(workload))
    verdict.expect(
        found is not None,
        subject=workload.ref,
        claim=f"exists as a {workload.kind}",
        observed="found" if found else f"only as: {others}" if others else "nothing of that name",
        advice="deploy it, or correct kind and name in the platform section",
    )
    if found is None:
        return
    verdict.expect(
        not found.deleted,
        subject=workload.ref,
        claim="is there to stay",
        observed=f"being deleted since {found.deleted}" if found.deleted else "nobody deleted it",
    )
    if workload.images:
        run = [one.image for one in found.containers]
        verdict.expect(
            bool(images.of_product(found.containers, workload)),
            subject=workload.ref,
            claim=f"runs an image of {workload.product}",
            expected=f"an image named {' or '.join(workload.images)}",
            observed=", ".join(run),
            advice="if the image is meant, add its name to `images` in the platform section",
        )
    if found.kind != "DaemonSet":
        _expect_replicas(workload, found, autoscaling, verdict)


def _expect_replicas(
    workload: Workload, found: Controller, autoscaling: Autoscaling, verdict: Verdict
) -> None:
    least = workload.replicas or 1
    limits = autoscaling.bounds(found)
    if limits is not None:
        verdict.expect(
            limits[0] >= least and limits[0] <= found.desired <= limits[1],
            subject=workload.ref,
            claim="is kept at its declared size by its autoscaler",
            expected=f"at least {least}, within the autoscaler's bounds",
            observed=f"{found.desired} replicas, bounds {limits[0]} to {limits[1]}",
            advice=f"set minReplicas of its autoscaler to {least} or more",
        )
        return
    more = workload.more_replicas_allowed or workload.replicas is None
    verdict.expect(
        found.desired >= least if more else found.desired == least,
        subject=workload.ref,
        claim="has its declared number of replicas",
        expected=f"at least {least}" if more else f"{least}",
        observed=f"{found.desired}",
        advice=f"kubectl scale {workload.kind.lower()} {workload.name} "
        f"-n {workload.namespace} --replicas={least}",
    )


@pytest.mark.control("PLT-WL-004")
def test_running_images_are_of_the_declared_version(
    workload: Workload, workloads: Workloads, verdict: Verdict
) -> None:
    """Every replica runs the declared version, and all of them the same image.

    A tag can be moved: replicas whose runtimes name different digests under one tag do
    not run the same program. Names say little (mirrors rewrite them), so a tag counts
    as a version only where the image bears the product's name. What the product itself
    says of its version is for its own suite.
    """
    found = workloads.of(workload)
    if found.under_way:
        found = workloads.later.of(workload)
    if found.under_way:
        verdict.not_measured(
            subject=workload.ref,
            claim="runs one image on all replicas",
            reason="a rollout is under way; look again when it is over",
        )
        return
    verdict.at_least(1, found.staying, subject=workload.ref, claim="has pods to look at")
    main = {one.name for one in images.of_product(found.containers, workload)}
    for pod in found.staying:
        for one in pod.containers:
            if one.name in main:
                _expect_version(f"{pod.ref}/{one.name}", one.image, workload, verdict)
    if not main:
        verdict.undecided(
            subject=workload.ref,
            claim=f"runs version {workload.version}",
            reason=f"no container has an image of {workload.product}: the tag of another "
            "image is not its version; see PLT-WL-001",
        )
    for name, ids in images.identities(found).items():
        if len({images.form(one) for one in ids.values()}) != 1 or "" in ids.values():
            verdict.undecided(
                subject=f"{workload.ref}/{name}",
                claim="runs one image on all replicas",
                reason=f"the runtimes name it in ways that cannot be compared: {ids}",
            )
            continue
        verdict.expect(
            len({images.digest(one) for one in ids.values()}) == 1,
            subject=f"{workload.ref}/{name}",
            claim="runs one image on all replicas",
            expected="one digest",
            observed=ids,
            advice="pin the image by digest, or restart the replica that has the old one",
        )


def _expect_version(subject: str, image: str, workload: Workload, verdict: Verdict) -> None:
    claim = f"runs version {workload.version}"
    fits = images.fits(images.version(image), workload.version or "")
    if fits is None:
        verdict.undecided(
            subject=subject,
            claim=claim,
            reason=f"the tag of {image} does not say; pin a full version or ask the product",
        )
        return
    verdict.expect(
        fits,
        subject=subject,
        claim=claim,
        expected=workload.version,
        observed=image,
        advice="deploy the declared version, or declare the one that is meant",
    )
