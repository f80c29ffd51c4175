"""The suite's own instruments, before anybody is judged by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from conformance.cluster import Cluster
    from conformance.constitution import Constitution
    from conformance.instruments import Instruments
    from conformance.verdict import Verdict


@pytest.mark.control("H-03")
def test_clocks_agree(instruments: Instruments, verdict: Verdict) -> None:
    """The API's clock and the runner's differ by less than the limit.

    The header of an answer has whole seconds, and the answer takes its time: so the
    difference is known between bounds, and where the limit lies between them, nothing is.
    """
    skew = instruments.skew()
    claim = f"differs by less than {LIMITS.skew:g} s from the runner's clock"
    if skew.least < LIMITS.skew <= skew.most or skew.least <= -LIMITS.skew < skew.most:
        verdict.undecided(subject="clock of the API", claim=claim, reason=f"it is off {skew}")
        return
    verdict.expect(
        -LIMITS.skew < skew.least and skew.most < LIMITS.skew,
        subject="clock of the API",
        claim=claim,
        observed=f"it is off {skew}",
        advice="let both follow the same time servers",
    )


@pytest.mark.control("H-04")
def test_tunnels_and_commands_tell_the_truth(instruments: Instruments, verdict: Verdict) -> None:
    """A tunnel to a port without a listener is told from an open one, and `false` fails.

    The near end of a tunnel stands before anything is known of the far end, and a
    stream of a command ends alike for good and ill.
    """
    with verdict.about("tunnels"):
        door = instruments.speaking_door()
        closed = instruments.tunnel_to_nothing(door)
        verdict.expect(
            closed == "closed",
            subject=f"tunnel to {door.pod.ref}, at a port without a listener",
            claim="is reported closed, where an open one brings an answer",
            observed=closed,
            advice="no verdict may rest on tunnels of this cluster",
        )
    with verdict.about("commands"):
        where, well, ill = instruments.commands()
        verdict.expect(
            (well, ill) == (0, 1),
            subject=f"commands in {where}",
            claim="give the exit codes of `true` and `false`",
            observed=f"{well} and {ill}",
            expected="0 and 1",
            advice="no verdict may rest on commands of this cluster",
        )


@pytest.mark.control("H-05")
def test_nothing_is_left_of_earlier_runs(instruments: Instruments, verdict: Verdict) -> None:
    """No API object of an earlier run has outlived its expiry.

    Keys, rows and topics are swept by the controls that write them.
    """
    left = instruments.residue()
    verdict.expect(
        not left,
        subject="objects of the suite",
        claim="are gone when they have expired",
        observed=", ".join(left) or "none",
        advice="delete them: the run that made them died before it could",
    )


@pytest.mark.control("H-06")
def test_the_tls_client_speaks_old_versions(instruments: Instruments, verdict: Verdict) -> None:
    """The runner's TLS client completes a handshake of every version from 1.0 on.

    Tried against a server of the suite's own, which accepts them: otherwise a refusal
    elsewhere could be the client's.
    """
    for version, spoken in instruments.tls().items():
        verdict.expect(
            spoken == version.replace("_", "."),
            subject=version,
            claim="is spoken by the runner's TLS client",
            observed=spoken,
            advice="run the suite from its own image, or with an OpenSSL that has this version",
        )


@pytest.mark.control("H-08")
def test_the_identity_has_the_rights_it_needs(
    instruments: Instruments,
    constitution: Constitution,
    allowed: frozenset[str],
    verdict: Verdict,
) -> None:
    """The suite's identity has every right that the active controls declare.

    What it lacks is named, with the controls that it leaves undecided: forbidden must
    not look like absent.
    """
    missing = instruments.missing(constitution, allowed)
    for right, controls in missing.items():
        verdict.expect(
            holds=False,
            subject=right,
            claim="is a right of the suite's identity",
            observed=f"missing; {', '.join(dict.fromkeys(controls))} cannot be decided",
            advice="grant it: conformance rbac --bind NAMESPACE/ACCOUNT | kubectl apply -f -",
        )
    if not missing:
        verdict.expect(
            holds=True,
            subject="the suite's identity",
            claim="has every right that is needed",
            observed="all allowed",
        )


@pytest.mark.control("H-10")
def test_names_resolve_as_they_must(
    instruments: Instruments, cluster: Cluster, verdict: Verdict
) -> None:
    """The cluster's DNS knows the API's name, and does not know a name that must not exist.

    Asked by the runner through the DNS Service itself, which takes a route into the
    pod network; pods of the suite's own are not asked yet.
    """
    dns = instruments.dns()
    api = cluster.find("services", "default/kubernetes")
    address = api["spec"]["clusterIP"] if api else "unknown"
    known = instruments.names(dns, "kubernetes.default.svc")
    verdict.expect(
        address in known.addresses,
        subject=dns,
        claim="knows the name of the API",
        observed=str(known),
        expected=address,
        advice="see the log of the DNS pods",
    )
    unknown = instruments.names(dns, "aik-conformance-nobody.default.svc")
    verdict.expect(
        unknown.unknown,
        subject=dns,
        claim="does not know a name that must not exist",
        observed=str(unknown),
        expected="no such name",
        advice="a wildcard answers for every name: then no name proves anything",
    )
