"""Values: nobody's secrets, weak ones, shared ones, ones that products no longer take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.secrets import PLACES, REGISTRY, shared

if TYPE_CHECKING:
    from conformance.logins import Logins
    from conformance.platform import Credential, Platform
    from conformance.secrets import Secret, Secrets
    from conformance.verdict import Verdict

_CHANGE = "put a value of its own there (`openssl rand -base64 24`), and roll what uses it"
_CLAIM = "holds no placeholder and no default"


@pytest.mark.control("SEC-001")
def test_no_placeholder_is_live(platform: Platform, secrets: Secrets, verdict: Verdict) -> None:
    """No Secret, ConfigMap or variable holds a template's value, a default, or nothing.

    Values are decoded, twice where what is in base64 is base64 again. Under keys that are
    not secret (a user's name, a host) only what is plainly left to be filled in counts.
    """
    spaces = [one.name for one in platform.namespaces if one.absent is None]
    own = {one.name for one in platform.platform_namespaces}
    secrets.preload(own, PLACES)
    seen = 0
    for space in spaces:
        with verdict.about(space, _CLAIM):
            for secret in secrets.within(space):
                seen += 1
                _expect_filled(secret, verdict)
    if not seen:
        verdict.undecided(
            subject="Secrets",
            claim=_CLAIM,
            reason="there is not one Secret in the declared namespaces, which cannot be all",
        )
    for space in sorted(own):
        for kind in PLACES:
            with verdict.about(f"{space} {kind}", _CLAIM):
                found = secrets.scan(space, kind)
                faults = [
                    f"{one.object} {one}: {one.fault}" for one in found.exposures if one.fault
                ]
                verdict.expect(
                    not faults,
                    subject=f"{space} {kind}",
                    claim=_CLAIM,
                    observed="; ".join(faults) or f"{found.objects} objects without",
                    advice=_CHANGE,
                )


def _expect_filled(secret: Secret, verdict: Verdict) -> None:
    """State that a Secret has no value that is nobody's secret."""
    empty = [one.key for one in secret.entries if one.fault == REGISTRY]
    faults = [one for one in secret.entries if one.fault and one.fault != REGISTRY]
    if empty:
        verdict.advise(subject=secret.ref, claim="names a registry", observed=REGISTRY)
    verdict.expect(
        not faults,
        subject=secret.ref,
        claim=_CLAIM,
        observed="; ".join(f"{one.key}: {one.fault}" for one in faults)
        or f"{len(secret.entries)} values without",
        advice=_CHANGE,
    )


@pytest.mark.control("SEC-002")
def test_secrets_are_strong_and_their_own(
    platform: Platform, secrets: Secrets, verdict: Verdict
) -> None:
    """Each secret value is long and hard to guess, and no two roles have the same.

    Certificates and tokens of a fixed form are not judged. What SEC-001 finds is not
    found again here. A credential that is handed out (same name and key elsewhere, or
    beside the same user's name) is one, and not two.
    """
    found: list[Secret] = []
    judged = 0
    for space in platform.platform_namespaces:
        with verdict.about(space.name, "has strong secrets"):
            found += secrets.within(space.name)
    for secret in found:
        values = [one for one in secret.entries if one.is_secret and not one.fault]
        judged += len(values)
        weak = [f"{one.key}: {one.weak} ({one.length} bytes)" for one in values if one.weak]
        if values:
            verdict.expect(
                not weak,
                subject=secret.ref,
                claim="has values that are hard to guess",
                observed="; ".join(weak) or f"{len(values)} values",
                expected="at least 16 characters, of no pattern",
                advice=_CHANGE,
            )
    if not judged:
        verdict.undecided(
            subject="Secrets",
            claim="are strong",
            reason="no value of any Secret could be judged",
            blocked_by="SEC-001",
        )
        return
    pairs = [
        f"{one} and {other} ({length} bytes, {digest})"
        for one, other, digest, length in shared(found)
    ]
    verdict.expect(
        not pairs,
        subject="Secrets of the platform",
        claim="share no value between roles",
        observed="; ".join(pairs) or f"{judged} values, all their own",
        advice="give each role a value of its own",
    )


@pytest.mark.control("SEC-004")
def test_products_take_what_their_secrets_hold(
    platform: Platform, logins: Logins, verdict: Verdict
) -> None:
    """Each server takes the value that the Secret holds now, and refuses a wrong one.

    The Secret itself is read, not what the suite was given. A server that takes any
    password proves nothing, nor does one that is asked from its own loopback.
    """
    kept = [one for one in platform.credentials if one.secret is not None]
    for credential in kept:
        component = _component(credential, platform)
        if component and platform.absence(component):
            continue
        if not logins.asks(credential.name):
            verdict.not_measured(
                subject=credential.secret,
                claim="is what the product takes",
                reason=f"no login with {credential.name} is known here; the product's suite asks",
            )
            continue
        with verdict.about(credential.secret, "is what the product takes"):
            _expect_taken(credential, logins, verdict)


def _expect_taken(credential: Credential, logins: Logins, verdict: Verdict) -> None:
    """State that every server takes a credential as its Secret holds it."""
    asked = list(logins.with_secret(credential.name))
    verdict.at_least(1, asked, subject=credential.secret, claim="has servers that take it")
    for login in asked:
        subject = f"{login.server} with {credential.secret}"
        if not verdict.given(
            login.crossed,
            subject=subject,
            claim="is asked over the network",
            observed="a tunnel that ends on the pod's own loopback",
            advice="run in the cluster, or with --route pod-network",
        ):
            continue
        if login.taken is None:
            verdict.undecided(subject=subject, claim="takes the Secret's value", reason=login.told)
        elif not login.taken or verdict.given(
            login.refused is True,
            subject=subject,
            claim="refuses a wrong password",
            observed="it takes any password, or did not say",
        ):
            verdict.expect(
                login.taken,
                subject=subject,
                claim="takes the Secret's value",
                observed=login.told,
                advice="roll the product, or set its password to what the Secret holds",
            )


def _component(credential: Credential, platform: Platform) -> str:
    """Return the component that a credential's name begins with, empty where there is none."""
    parts = sorted({one.component for one in platform.workloads}, key=len, reverse=True)
    return next((one for one in parts if credential.name.startswith(one)), "")
