"""Declared identities: who is meant to hold which rights, and how secrets rest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Meaning(StrEnum):
    """What an account is for."""

    ADMIN = "admin"
    VIEWER = "viewer"
    NAMESPACE_ADMIN = "namespace-admin"
    MONITORING_VIEWER = "monitoring-viewer"
    DEVELOPER = "developer"


@dataclass(frozen=True)
class Account:
    """A ServiceAccount that people use.

    `role` is the documented ClusterRole, None where the account has one of its own.
    `namespaces` are those in which it may do what its meaning says (a developer:
    write); none is the whole cluster.
    """

    name: str
    namespace: str
    meaning: Meaning
    role: str | None = None
    namespaces: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        """Return `namespace/name`, as case ids show it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Holder:
    """A subject that may hold more than others, and why.

    `subject` is `User name`, `Group name` or `ServiceAccount namespace/name`.
    """

    subject: str
    why: str


@dataclass(frozen=True)
class Rest:
    """How Secrets are stored.

    `config` is a file that holds the API server's EncryptionConfiguration; `etcd` is
    the address (`https://host:port`) of an etcd that answers the suite, which shows
    the client certificate `certificate` with `key` and trusts `authority` (paths of
    files); `prefix` is the API server's `--etcd-prefix`.
    """

    config: str | None = None
    etcd: str | None = None
    certificate: str | None = None
    key: str | None = None
    authority: str | None = None
    prefix: str = "/registry"
