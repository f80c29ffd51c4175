"""What the products of the platform are meant to be, beyond running.

Names only: which workload, which Services and credentials, which settings. The
suite of a product compares them with what the product itself says.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column of a table whose shape is declared. `default` is a fragment of it."""

    name: str
    type: str
    not_null: bool = False
    default: str | None = None


@dataclass(frozen=True)
class Table:
    """A table whose shape is declared; `indexes` maps name to a fragment of its definition."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    indexes: dict[str, str]


@dataclass(frozen=True)
class Postgres:
    """What PostgreSQL is meant to be.

    `login_roles` is a view (rolname, password_method) for a monitoring role that may
    not read pg_authid.
    """

    workload: str
    database: str
    role: str
    config_map: str
    config_key: str
    schemas: tuple[str, ...]
    extensions: tuple[str, ...]
    audit: Table
    settings: dict[str, str]
    application: str = "postgres-application"
    monitoring: str = "postgres-monitoring"
    primary_service: str = "postgres-primary"
    replica_service: str = "postgres-replica"
    port: int = 5432
    lag_bound: float = 5.0
    canary_schema: str = "aik_conformance"
    login_roles: str | None = None
    absent: str | None = None

    @property
    def ref(self) -> str:
        """Return the workload's reference."""
        return self.workload


@dataclass(frozen=True)
class Redis:
    """What Redis is meant to be. `sentinel` is the credential that its sentinels ask for."""

    workload: str
    config_map: str
    eviction: str
    append_fsync: str
    credential: str = "redis"
    sentinel: str | None = None
    master_service: str = "redis-master"
    replica_service: str = "redis-replica"
    port: int = 6379
    sentinel_port: int = 26379
    lag_bytes: int = 1_048_576
    absent: str | None = None

    @property
    def ref(self) -> str:
        """Return the workload's reference."""
        return self.workload
