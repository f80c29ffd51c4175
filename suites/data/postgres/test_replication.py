"""What is written on the primary reaches the replicas, and soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.postgres_replication import (
    RECEIVER,
    SENDERS,
    SLOTS,
    follow,
    lags,
    percentile,
    senders_of,
)
from conformance.waiting import LIMITS

if TYPE_CHECKING:
    from conformance.postgres import Servers
    from conformance.postgres_replication import FollowedCanary
    from conformance.postgres_roster import Member
    from conformance.products import Postgres
    from conformance.verdict import Verdict

_SAMPLES = 20
_CATCHING_UP = 300  # seconds after which a replica that still catches up never will
_GRANT = "GRANT pg_monitor to the monitoring role"


@pytest.mark.control("PG-003")
def test_replicas_stream_from_the_primary(
    postgres: Postgres, servers: Servers, verdict: Verdict
) -> None:
    """Every replica says that it receives a stream, and as many streams leave the servers.

    Replicas are counted by themselves: a backup client on the primary looks like one.
    A replica may pass the stream on to another. Addresses say nothing, since behind
    sidecars all clients come from 127.0.0.6. A slot that lost its log is a replica
    that can never return.
    """
    roster = servers.roster()
    for member in roster.of("silent"):
        verdict.undecided(subject=member.ref, claim="receives a stream", reason=member.reason)
    for member in roster.replicas:
        with verdict.about(member.ref, "receives a stream"):
            _judge_receiver(member, servers, verdict)
    answering = (*roster.of("primary"), *roster.replicas)
    streams = [one for member in answering for one in senders_of(servers.ask(member, SENDERS))]
    if verdict.given(
        all(one.state for one in streams),
        subject=postgres.ref,
        claim="shows the monitoring role the state of its streams",
        observed="the role may not see it",
        advice=_GRANT,
    ):
        for one in (one for one in streams if one.state == "catchup"):
            verdict.expect(
                one.age <= _CATCHING_UP,
                subject=f"{postgres.ref} stream {one.name}",
                claim="catches up within five minutes",
                observed=f"catching up for {one.age} s",
                advice="look for a slow volume or network of the replica",
            )
        verdict.expect(
            sum(one.state == "streaming" for one in streams) >= len(roster.replicas),
            subject=postgres.ref,
            claim="sends a stream for every replica",
            observed=", ".join(f"{one.name} {one.state}" for one in streams) or "no stream",
            expected=f"at least {len(roster.replicas)} that are streaming",
            advice="see primary_conninfo and the log of the replicas",
        )
    _judge_slots(roster.primary, servers, verdict)


def _judge_receiver(member: Member, servers: Servers, verdict: Verdict) -> None:
    session = servers.ask_until(
        member,
        lambda one: [row[0] for row in one.results[0].rows] == ["streaming"],
        RECEIVER,
        limit=LIMITS.settling,
    )
    rows = session.results[0].table
    status, sender = rows[0] if rows else ("no receiver", None)
    if verdict.given(
        status is not None,
        subject=member.ref,
        claim="shows the monitoring role its receiver",
        observed="the role may not see it",
        advice=_GRANT,
    ):
        verdict.expect(
            status == "streaming",
            subject=member.ref,
            claim="receives a stream",
            observed=f"{status}{f' from {sender}' if sender else ''}",
            expected="streaming",
            advice="see primary_conninfo, the replication password and the replica's log",
        )


def _judge_slots(primary: Member, servers: Servers, verdict: Verdict) -> None:
    for name, active, status in servers.ask(primary, SLOTS).results[0].table:
        verdict.expect(
            status not in {"lost", "unreserved"},
            subject=f"{primary.ref} slot {name}",
            claim="still holds the log that its replica needs",
            observed=f"wal_status {status}",
            expected="reserved or extended",
            advice="clone the replica anew and raise max_slot_wal_keep_size",
        )
        if not active:
            verdict.advise(
                subject=f"{primary.ref} slot {name}",
                claim="keeps log that nobody fetches at present",
                observed=f"inactive, wal_status {status}",
            )


@pytest.mark.control("PG-004")
def test_replicas_lag_behind_by_seconds_at_most(
    postgres: Postgres, servers: Servers, verdict: Verdict
) -> None:
    """Of twenty messages in the primary's log, 95 % are replayed on each replica within the bound.

    The age of the last replayed transaction would be zero after any write and grow
    on an idle primary. A message in the log leaves nothing behind. Where replay is
    paused on purpose nothing is decided.
    """
    for member in servers.roster().of("silent"):
        verdict.undecided(subject=member.ref, claim="replays", reason=member.reason)
    samples = lags(servers, _SAMPLES, postgres.lag_bound)
    for name, one in samples.items():
        if not verdict.given(
            not one.paused,
            subject=name,
            claim="replays what it receives",
            observed="replay is paused",
            advice="pg_wal_replay_resume() ends it",
        ):
            continue
        late = percentile(one.seconds, 0.95)
        if late is not None and len(one.seconds) < _SAMPLES:
            reason = (
                f"only {len(one.seconds)} samples: another replica was late, and the rest left out"
            )
            verdict.undecided(subject=name, claim="replays within the bound", reason=reason)
            continue
        verdict.expect(
            late is not None,
            subject=name,
            claim="replays within the bound",
            observed=f"95 % within {late} s" if late is not None else "more than 5 % took longer",
            expected=f"95 % of {_SAMPLES} within {postgres.lag_bound} s",
            advice="see recovery_min_apply_delay, and long queries that hold replay back",
        )


@pytest.mark.control("PG-005")
def test_rows_written_on_the_primary_are_read_on_every_replica(
    postgres: Postgres, servers: Servers, verdict: Verdict
) -> None:
    """A row written through the primary's Service is soon read on each replica, and soon gone.

    Each replica is asked itself and once more through the replicas' Service. What a
    primary answers proves nothing, so whoever answers must be in recovery. Where no
    way leads through the Services, replication is still judged pod by pod.
    """
    canary = follow(servers)
    for subject, reason in canary.detours.items():
        verdict.undecided(
            subject=subject, claim="takes the write", reason=reason, blocked_by="PLT-WL-005"
        )
    if not verdict.given(
        canary.written,
        subject=canary.writer,
        claim="takes a canary row",
        observed=canary.refusal,
        advice=f"CREATE SCHEMA {postgres.canary_schema} and grant USAGE, CREATE to {postgres.role}",
    ):
        return
    for member in servers.roster().of("silent"):
        verdict.undecided(subject=member.ref, claim="shows the row", reason=member.reason)
    for reader in canary.readers:
        with verdict.about(reader.ref, "shows the row"):
            _judge_reader(reader.checked, postgres, verdict)
    verdict.given(
        canary.removed, subject=canary.writer, claim="is left without a canary", observed="it stays"
    )


def _judge_reader(reader: FollowedCanary, postgres: Postgres, verdict: Verdict) -> None:
    bound = f"within {postgres.lag_bound} s"
    verdict.expect(
        reader.seconds is not None and reader.same,
        subject=reader.ref,
        claim="shows the row",
        observed="another value" if not reader.same else f"after {reader.seconds} s",
        expected=bound,
        advice="see PG-003 and PG-004",
    )
    if reader.seconds is not None:
        verdict.expect(
            reader.gone is not None,
            subject=reader.ref,
            claim="shows that it was deleted",
            observed="it stays" if reader.gone is None else f"after {reader.gone} s",
            expected=bound,
            advice="see PG-003 and PG-004",
        )
