"""Places: secrets stand in Secrets and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.secrets import PLACES

if TYPE_CHECKING:
    from conformance.platform import Platform
    from conformance.secrets import Secrets
    from conformance.verdict import Verdict

_CLAIM = "hold no credential"


@pytest.mark.control("SEC-003")
def test_no_credential_stands_outside_secrets(
    platform: Platform, secrets: Secrets, verdict: Verdict
) -> None:
    """ConfigMaps, variables, arguments and annotations hold no credential, only references.

    Found by the key (its last word is one of passwords, tokens, keys) and a value that
    refers to nothing, by a URI with a password in it, and by the form of known tokens
    under any key. `kubectl apply` keeps a copy of a Secret's values in its annotation.
    """
    spaces = [one.name for one in platform.platform_namespaces]
    secrets.preload(spaces, (*PLACES, "secrets"))
    objects = 0
    for space in spaces:
        for kind in PLACES:
            with verdict.about(f"{space} {kind}", _CLAIM):
                objects += _expect_none(space, kind, secrets, verdict)
        _expect_bare_secrets(space, secrets, verdict)
    if not objects:
        verdict.undecided(
            subject="the platform's objects",
            claim=_CLAIM,
            reason="there is not one object to look at in the platform's namespaces",
        )


def _expect_none(space: str, kind: str, secrets: Secrets, verdict: Verdict) -> int:
    """State that no object of a kind holds a credential; return how many there are."""
    found = secrets.scan(space, kind)
    places = [f"{one.object}, {one}" for one in found.exposures]
    verdict.expect(
        not places,
        subject=f"{space} {kind}",
        claim=_CLAIM,
        observed="; ".join(places) or f"{found.objects} objects without",
        advice="move it to a Secret and refer to that (secretKeyRef, a mounted file)",
    )
    return found.objects


def _expect_bare_secrets(space: str, secrets: Secrets, verdict: Verdict) -> None:
    """State that no Secret carries its values in an annotation, where that may be read."""
    unread = secrets.unreadable(space)
    if unread:
        verdict.not_measured(
            subject=f"{space} secrets",
            claim="carry no copy of their values in an annotation",
            reason=unread,
        )
        return
    found = secrets.scan(space, "secrets")
    names = sorted({one.object for one in found.exposures})
    verdict.expect(
        not names,
        subject=f"{space} secrets",
        claim="carry no copy of their values in an annotation",
        observed="; ".join(names) or f"{found.objects} Secrets without",
        advice="kubectl apply --server-side, and remove the annotation (kubectl annotate ... KEY-)",
    )
