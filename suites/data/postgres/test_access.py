"""Who is let in, and on what proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.postgres_access import turned_away
from conformance.postgres_rules import ENCRYPTION, LOADED, RULES, rules_of, stored

if TYPE_CHECKING:
    from conformance.postgres import Servers
    from conformance.postgres_roster import Member
    from conformance.postgres_session import Session
    from conformance.products import Postgres
    from conformance.verdict import Verdict

_SCRAM = "scram-sha-256"
_PROOFS = {
    "wrong": "refuses a wrong password",
    "none": "refuses a client without a password",
    "stranger": "refuses a role that does not exist",
}


@pytest.mark.control("PG-008")
def test_servers_let_in_nobody_without_the_right_password(
    postgres: Postgres,  # noqa: ARG001 - the case
    servers: Servers,
    verdict: Verdict,
) -> None:
    """Over the network each server takes the right login and refuses wrong, no and made-up ones.

    Only the server's own refusal counts (28P01, 28000, or that it asks for what is
    missing): a failed connection is none. Through a port-forward one stands on the
    pod's loopback, which images like to trust, so nothing is decided from there.
    """
    for member in servers.roster().members:
        with verdict.about(member.ref):
            right = servers.login(member, "right").open
            if verdict.given(
                right.crosses_network,
                subject=member.ref,
                claim="is asked over the network",
                observed=f"route {right.route}, which ends on the pod's own loopback",
                advice="run in the cluster, or with --route pod-network where pods can be reached",
            ):
                _judge_logins(member, right, servers, verdict)


def _judge_logins(member: Member, right: Session, servers: Servers, verdict: Verdict) -> None:
    verdict.expect(
        right.asked != "nothing",
        subject=member.ref,
        claim="asks the application for its password",
        observed=right.identity,
        advice="replace `trust` in pg_hba.conf (POSTGRES_HOST_AUTH_METHOD) by scram-sha-256",
    )
    for proof, claim in _PROOFS.items():
        with verdict.about(member.ref, claim):
            session = servers.login(member, proof)
            away = turned_away(session)
            if away is None:
                verdict.undecided(subject=member.ref, claim=claim, reason=session.identity)
                continue
            verdict.expect(
                away,
                subject=member.ref,
                claim=claim,
                observed=session.identity,
                expected="FATAL with SQLSTATE 28P01 or 28000",
                advice="let pg_hba.conf ask everyone from the network for scram-sha-256",
            )


@pytest.mark.control("PG-009")
def test_rules_trust_no_network_and_passwords_are_scram(
    postgres: Postgres, servers: Servers, verdict: Verdict
) -> None:
    """No rule in force takes a client of the network at its word, and passwords are kept as SCRAM.

    The view shows the file, not the memory: a file that changed after it was loaded
    decides nothing. Behind a sidecar every client of the mesh comes from 127.0.0.6,
    so a rule for all of 127.0.0.0/8 is one for the network.
    """
    for member in servers.roster().members:
        with verdict.about(member.ref):
            statements = (RULES, LOADED, ENCRYPTION, stored(postgres.login_roles))
            session = servers.ask(member, *statements)
            with verdict.about(member.ref, "trusts nobody on the network"):
                _judge_rules(member, session, verdict)
            with verdict.about(member.ref, "keeps the passwords of all login roles as SCRAM"):
                _judge_passwords(member, session, verdict)


def _judge_rules(member: Member, session: Session, verdict: Verdict) -> None:
    rules = rules_of(session, 0)
    broken = [one.told for one in rules if one.error]
    verdict.expect(
        bool(rules) and not broken,
        subject=member.ref,
        claim="can read every rule of its pg_hba.conf",
        observed="; ".join(broken) or f"{len(rules)} rules",
        advice="mend the line; until then the server keeps what it had",
    )
    weak = [one.told for one in rules if one.weak(proxied=member.proxied)]
    if local := [one.told for one in rules if one.believes and one.told not in weak]:
        verdict.advise(
            subject=member.ref, claim="believes whoever is in the pod", observed="; ".join(local)
        )
    if not weak and not verdict.given(
        session.results[1].table[0][0] is True,
        subject=member.ref,
        claim="has loaded pg_hba.conf since it was changed",
        observed="the file is newer than what is in force",
        advice="SELECT pg_reload_conf()",
    ):
        return
    verdict.expect(
        not weak,
        subject=member.ref,
        claim="trusts nobody on the network",
        observed="; ".join(weak) or f"{len(rules)} rules",
        expected=f"no trust, password, md5 or ident beyond loopback; {_SCRAM} instead",
        advice="change the method in pg_hba.conf and reload",
    )


def _judge_passwords(member: Member, session: Session, verdict: Verdict) -> None:
    encryption = session.results[2].table[0][0]
    verdict.expect(
        encryption == _SCRAM,
        subject=member.ref,
        claim="stores new passwords as SCRAM",
        observed=f"password_encryption = {encryption}",
        advice=f"set password_encryption = {_SCRAM}",
    )
    kept = {str(row[0]): str(row[1]) for row in session.results[3].table}
    others = [f"{name}: {how}" for name, how in kept.items() if how not in {_SCRAM, "none"}]
    verdict.expect(
        bool(kept) and not others,
        subject=member.ref,
        claim="keeps the passwords of all login roles as SCRAM",
        observed="; ".join(others) or f"{len(kept)} login roles",
        expected=f"{_SCRAM}, or no password at all",
        advice="set the password of these roles anew",
    )
