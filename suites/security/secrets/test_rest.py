"""Rest: Secrets are encrypted where they are stored, by configuration, by deed, and in etcd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.cluster import labels, ref
from conformance.secrets import flags

if TYPE_CHECKING:
    from conformance.cluster import Cluster, Object
    from conformance.platform import Platform
    from conformance.secrets import Secrets
    from conformance.verdict import Verdict

_FLAG = "encryption-provider-config"
_HOW = "configure encryption at rest with a provider before `identity`, and rewrite all Secrets"
_NOT = "identity"


@pytest.mark.control("SEC-005")
def test_encryption_of_secrets_is_configured(
    platform: Platform, cluster: Cluster, secrets: Secrets, verdict: Verdict
) -> None:
    """Every API server has an encryption configuration, in which Secrets do not go as they are.

    A flag alone is not enough: with `identity` first everything is written in clear. A
    file counts once an API server says that it runs with just this one. Where neither
    the control plane's pods nor its file can be seen, this is not measured.
    """
    pods = [one for one in cluster.within("pods", "kube-system") if _is_api_server(one)]
    for pod in pods:
        given = flags(pod, _FLAG)
        verdict.expect(
            bool(given and given[-1]),
            subject=ref(pod),
            claim="is told how to encrypt",
            observed=f"--{_FLAG}={given[-1]}" if given else f"no --{_FLAG}",
            advice=_HOW,
        )
    if platform.rest.config is None:
        verdict.not_measured(
            subject="Secrets",
            claim="are encrypted by the first provider",
            reason="the file cannot be seen; name it in `rest.config`, and see SEC-006, SEC-007",
        )
        return
    found = secrets.encryption
    running = secrets.running_encryption
    if running is None and not pods:
        verdict.undecided(
            subject="Secrets",
            claim="are encrypted by the first provider",
            reason="no API server says which configuration it runs with, so the file may be "
            "nobody's",
        )
        return
    if running is not None and not verdict.given(
        running == {found.sha256},
        subject=platform.rest.config,
        claim="is what every API server runs with",
        observed=f"SHA-256 {found.sha256[:12]}; running: {', '.join(x[:12] for x in running)}",
        advice="restart the API servers, or name the file that they use",
    ):
        return
    providers = found.of_secrets
    first = providers[0] if providers else ""
    verdict.expect(
        bool(providers) and first != _NOT and not first.endswith("without keys"),
        subject="Secrets",
        claim="are encrypted by the first provider",
        observed=", ".join(providers) or "no rule names them",
        advice=_HOW,
    )


def _is_api_server(pod: Object) -> bool:
    return labels(pod).get("component") == "kube-apiserver" and bool(
        labels(pod).get("tier", "control-plane") == "control-plane"
    )


@pytest.mark.control("SEC-006")
def test_secrets_are_encrypted_when_they_are_written(secrets: Secrets, verdict: Verdict) -> None:
    """A Secret that is written now is encrypted by the API server that takes it.

    Its own counters say so, read over the same connection before and after; one that
    cannot tell Secrets from other objects must not have counted a ConfigMap. Counters
    of another server, or of one that did not take the write, prove nothing.
    """
    before, control, after = secrets.transformed
    same = before.server == control.server == after.server
    if not verdict.given(
        same,
        subject="API server",
        claim="is one and the same in all looks",
        observed="the same start time" if same else "several servers answered in turn",
        advice="give the suite the address of one API server",
    ) or not verdict.given(
        after.posts > control.posts,
        subject="API server",
        claim="counted the Secret that was written",
        observed=f"{after.posts - control.posts} created",
    ):
        return
    if not after.tells_resources and not verdict.given(
        control.encrypted_since(before) == 0,
        subject="API server",
        claim="encrypted nothing else meanwhile",
        observed=f"{control.encrypted_since(before)} objects while a ConfigMap was written",
    ):
        return
    count = after.encrypted_since(control)
    told = ", ".join(sorted({prefix for prefix, _ in after.writes})) or "none"
    verdict.expect(
        count >= 1,
        subject="a Secret",
        claim="is encrypted when it is written",
        observed=f"{count} encrypted; transformers in use: {told}",
        expected="at least 1 by k8s:enc:...",
        advice=_HOW,
    )


@pytest.mark.control("SEC-007")
def test_secrets_in_etcd_are_ciphertext(
    platform: Platform, secrets: Secrets, verdict: Verdict
) -> None:
    """Every Secret that etcd holds is ciphertext, whenever it was written.

    Turning encryption on does not rewrite what is there. The etcd must be this cluster's:
    it has the same kube-system, and every Secret that the API lists.
    """
    if platform.rest.etcd is None:
        verdict.not_measured(
            subject="etcd",
            claim="holds Secrets as ciphertext",
            reason="no etcd is named that answers the suite; see `rest.etcd`",
        )
        return
    found = secrets.stored
    if found.ours is not None and not verdict.given(
        found.ours,
        subject=platform.rest.etcd,
        claim="is the etcd of this cluster",
        observed="it knows another kube-system, or none",
        advice="correct `rest.etcd` or `rest.prefix`",
    ):
        return
    known: set[str] = set()
    for space in platform.platform_namespaces:
        with verdict.about(space.name, "has its Secrets in this etcd"):
            known |= {one.ref for one in secrets.within(space.name)}
    lost = sorted(known - found.forms.keys())
    if not verdict.given(
        bool(known) and not lost,
        subject=platform.rest.etcd,
        claim="has every Secret that the API lists",
        observed=f"without {', '.join(lost)}" if lost else f"{len(known)} known to the API",
    ):
        return
    plain = found.plain
    verdict.expect(
        not plain,
        subject="Secrets in etcd",
        claim="are ciphertext",
        observed="in clear: " + ", ".join(plain)
        if plain
        else f"{len(found.forms)} of {', '.join(sorted(set(found.forms.values())))}",
        advice="rewrite them: kubectl get secrets -A -o json | kubectl replace -f -",
    )
