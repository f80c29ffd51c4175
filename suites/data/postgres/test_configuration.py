"""The servers run what is declared for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.postgres_settings import STATEMENTS, differences, parsed, settings_of

if TYPE_CHECKING:
    from conformance.cluster import Cluster
    from conformance.postgres import Servers
    from conformance.postgres_roster import Member
    from conformance.products import Postgres
    from conformance.verdict import Verdict


@pytest.mark.control("PG-001")
def test_servers_run_the_declared_configuration(
    postgres: Postgres, servers: Servers, cluster: Cluster, verdict: Verdict
) -> None:
    """Every server has in force what its ConfigMap and the platform section declare.

    Some defaults equal the declared values, so a value counts only where something
    set it: the file, or a failover controller's command line. Values are compared
    by meaning (512MB is 65536 pages), and one that waits for a restart is not in force.
    """
    name = f"{servers.namespace}/{postgres.config_map}"
    found = cluster.find("configmaps", name)
    text = ((found or {}).get("data") or {}).get(postgres.config_key)
    wanted = parsed(text or "")
    if verdict.expect(
        bool(wanted),
        subject=f"ConfigMap {name}",
        claim=f"declares settings in {postgres.config_key}",
        observed=f"{len(wanted)} settings" if found else "no such ConfigMap",
        expected="at least one",
        advice="apply the ConfigMap, or name the right one in the platform section",
    ):
        for member in servers.roster().members:
            with verdict.about(member.ref):
                _judge(member, wanted, postgres.settings, servers, verdict)


def _judge(
    member: Member,
    wanted: dict[str, str],
    declared: dict[str, str],
    servers: Servers,
    verdict: Verdict,
) -> None:
    found, sees_all = settings_of(servers.ask(member, *STATEMENTS))
    if not verdict.given(
        sees_all,
        subject=member.ref,
        claim="shows the monitoring role all its settings and their files",
        observed="the role is no member of pg_read_all_settings",
        advice="GRANT pg_monitor to the monitoring role",
    ):
        return
    unread = sorted(name for name in wanted if name in found and found[name].source == "default")
    verdict.expect(
        not unread,
        subject=member.ref,
        claim="has read the declared file",
        observed=f"nothing has set {', '.join(unread)}" if unread else "every setting has a source",
        expected="every setting of the file is set by it, or by the command line",
        advice="start the server with the mounted file (config_file, or an include of it)",
    )
    for whose, values in (("its ConfigMap", wanted), ("the platform section", declared)):
        wrong = [f"{name}: {seen}" for name, seen in differences(values, found)]
        verdict.expect(
            not wrong,
            subject=member.ref,
            claim=f"has every setting of {whose} in force",
            observed="; ".join(wrong) or f"{len(values)} settings are equal",
            advice="reload or restart the server, and look for ALTER SYSTEM and ALTER ROLE",
        )
