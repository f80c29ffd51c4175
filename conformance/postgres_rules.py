"""Rules of pg_hba.conf and stored passwords: who gets in, and on what proof."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.postgres_session import Session

RULES = """
SELECT line_number, type, array_to_string(database, ','), array_to_string(user_name, ','), address,
       netmask, auth_method, error
FROM pg_hba_file_rules"""
LOADED = "SELECT pg_conf_load_time() >= (pg_stat_file(current_setting('hba_file'))).modification"
ENCRYPTION = "SELECT current_setting('password_encryption')"
_STORED = """
SELECT rolname, CASE WHEN rolpassword IS NULL THEN 'none'
                     WHEN rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram-sha-256'
                     WHEN rolpassword LIKE 'md5%' THEN 'md5' ELSE 'unknown' END
FROM pg_authid WHERE rolcanlogin"""
_WEAK = {"trust", "password", "md5", "ident"}  # ident believes what the client's host says
_PROXY = ipaddress.ip_address("127.0.0.6")  # from where a sidecar hands on what came by network


@dataclass(frozen=True)
class Rule:
    """One line of pg_hba.conf as the server reads it."""

    line: int
    type: str | None
    databases: str | None
    users: str | None
    address: str | None
    netmask: str | None
    method: str | None
    error: str | None

    @property
    def told(self) -> str:
        """Return the rule in words."""
        if self.error:
            return f"line {self.line}: {self.error}"
        where = f"{self.address or ''}{f'/{self.netmask}' if self.netmask else ''}"
        words = (self.type, self.databases, self.users, where, self.method)
        return f"line {self.line}: " + " ".join(str(one) for one in words if one)

    def weak(self, *, proxied: bool) -> bool:
        """Say whether someone gets in over the network without proving to know a secret.

        `proxied`: a sidecar stands before the server, and its clients seem local.
        """
        return self.believes and self._networked(proxied=proxied)

    @property
    def believes(self) -> bool:
        """Say whether the rule asks for no proof that others could not give too."""
        return self.method in _WEAK

    def _networked(self, *, proxied: bool) -> bool:
        if self.type == "local" or self.address in {"samehost", "localhost"}:
            return False
        try:
            bits = int(ipaddress.ip_address(self.netmask or "")).bit_count()
            network = ipaddress.ip_network(f"{self.address}/{bits}", strict=False)
        except ValueError:  # all, samenet, or a name of hosts
            return True
        return not network.is_loopback or (proxied and _PROXY in network)


def rules_of(session: Session, result: int) -> tuple[Rule, ...]:
    """Return the rules that a session's result to `RULES` shows."""
    return tuple(Rule(*row) for row in session.results[result].table)


def stored(view: str | None) -> str:
    """Return a statement: every login role and how its password is kept.

    From `view` where one is declared, since only superusers may read pg_authid.
    """
    return f"SELECT rolname, password_method FROM {view}" if view else _STORED  # noqa: S608
