"""Configuration: what runs is what the ConfigMaps say now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.configs import readers, uses

if TYPE_CHECKING:
    from conformance.configs import Configs, Reader
    from conformance.platform import Platform, Workload
    from conformance.verdict import Verdict
    from conformance.workloads import Workloads

_READ_ONCE = frozenset({"redis", "kafka", "zookeeper"})  # products that read it when they start


@pytest.mark.control("PLT-WL-014")
def test_containers_run_with_the_current_content_of_their_config_maps(
    workload: Workload,
    platform: Platform,
    workloads: Workloads,
    configs: Configs,
    verdict: Verdict,
) -> None:
    """The files in each container are those of the ConfigMap, and its process has read them.

    A file that is mounted by `subPath` never changes; one that does change has not been
    read by a process that is older. What a product made of its configuration is for its
    own suite. Contents are compared by digest, and never leave the cluster.
    """
    found = workloads.of(workload)
    used = uses(found)
    names = sorted({one.config_map for one in used})
    held = {name: configs.content(found.namespace, name) for name in names}
    contents = {name: one for name, one in held.items() if one is not None}
    for name in names:
        optional = all(one.optional for one in used if one.config_map == name)
        verdict.expect(
            name in contents or optional,
            subject=f"{found.namespace}/{name}",
            claim="exists, since containers need it",
            observed="found" if name in contents else "no such ConfigMap",
            advice="put it back: pods that start without it do not start",
        )
    for name in workload.config_maps:
        verdict.expect(
            any(one == name or one.startswith(f"{name}-") for one in names),
            subject=workload.ref,
            claim=f"uses the ConfigMap {name}",
            observed=", ".join(names) or "it uses none",
            advice="mount it, or correct `config_maps` in the platform section",
        )
    reading = tuple(readers(found, contents))
    if not reading:
        verdict.undecided(
            subject=workload.ref,
            claim="runs with the current content of its ConfigMaps",
            reason="no container that uses them is running",
            blocked_by="PLT-WL-002",
        )
    for reader in reading:
        with verdict.about(reader.ref, "shows its configuration"):
            _expect_files(reader, configs, verdict)
            if reader.declared(workload):
                _expect_read(reader, workload, platform, configs, verdict)


def _expect_files(reader: Reader, configs: Configs, verdict: Verdict) -> None:
    """State that the files in a container are those of the ConfigMaps."""
    if not reader.wanted:
        return
    sight = configs.sight(reader)
    if sight.blind and reader.started < reader.written:
        verdict.undecided(subject=reader.ref, claim="sees the current files", reason=sight.blind)
        return
    stale = sorted(path for path, one in reader.wanted.items() if sight.digests.get(path) != one)
    verdict.expect(
        not stale or bool(sight.blind),
        subject=reader.ref,
        claim="sees the current files",
        expected=f"{len(reader.wanted)} files as in the ConfigMaps",
        observed=f"started at {reader.started}, after the last change at {reader.written}"
        if sight.blind
        else f"other content, or no file: {', '.join(stale)}"
        if stale
        else "the same content",
        advice="restart the pod: a file mounted by subPath is never brought up to date",
    )


def _expect_read(
    reader: Reader, workload: Workload, platform: Platform, configs: Configs, verdict: Verdict
) -> None:
    """State that the process has read its configuration since that was last changed."""
    claim = "has read its configuration since it was changed"
    changed, read = reader.written, reader.started
    if read < changed:  # the object is younger; was it the content?
        seen = configs.rewritten(reader)
        if seen is None:
            verdict.undecided(
                subject=reader.ref,
                claim=claim,
                reason=f"it started at {read}, its ConfigMap was written at {changed}, and the "
                "container does not show whether the content changed; restart the pod",
            )
            return
        changed = seen
    if read < changed and workload.asks == "postgres" and platform.postgres:
        read = configs.reloaded(reader.pod, platform.postgres)
    elif read < changed and workload.asks not in _READ_ONCE:
        verdict.undecided(
            subject=reader.ref,
            claim=claim,
            reason=f"it started at {read} and the content changed at {changed}: whether "
            f"{workload.product} has reloaded it, its own suite must ask",
        )
        return
    verdict.expect(
        read >= changed,
        subject=reader.ref,
        claim=claim,
        expected=f"read at or after {changed}",
        observed=f"read at {read}",
        advice="reload the product, or restart the pod",
    )
