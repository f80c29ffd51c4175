"""Credentials by name; their values stay in this package."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.evidence import LookError
from conformance.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.live.reach import Reach
    from conformance.platform import Credential, Platform


_PUBLIC = frozenset({"user", "database"})  # every other part of a credential is a secret


class Secretive(str):
    """A text whose repr is `***`, so that tracebacks and logs do not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return three stars."""
        return "***"


def given(platform: Platform) -> Iterator[str]:
    """Yield the secret values that environment and mounted files hold, before any is used."""
    for wanted in platform.credentials:
        for part, value in _at_hand(wanted).items():
            if part not in _PUBLIC:
                yield value


class Credentials:
    """Finds credentials where the platform section says, once each."""

    def __init__(self, reach: Reach) -> None:
        """Find nothing yet."""
        self._reach = reach
        self._found: dict[str, dict[str, Secretive]] = {}

    def find(self, name: str) -> dict[str, Secretive]:
        """Return the parts (user, password, ...) of a credential.

        `secret:NAME` is what the Secret holds now, whatever environment and files say.

        Raises:
            LookError: `no-credentials`, with every place that was tried, or what
                the API said to the read of the Secret.
        """
        if name not in self._found:
            source, _, plain = name.rpartition(":")
            wanted = self._reach.platform.credential(plain)
            self._found[name] = self._search(wanted, at_hand=source != "secret")
        return self._found[name]

    def _search(self, wanted: Credential, *, at_hand: bool) -> dict[str, Secretive]:
        prefix = _prefix(wanted)
        parts = _at_hand(wanted) if at_hand else {}
        if missing := set(wanted.keys) - set(parts):
            parts |= self._from_secret(wanted, missing, prefix)
        self._reach.redactor.learn(*(one for part, one in parts.items() if part not in _PUBLIC))
        return {part: Secretive(value) for part, value in parts.items()}

    def _from_secret(self, wanted: Credential, missing: set[str], prefix: str) -> dict[str, str]:
        hint = f"set {prefix}{min(missing).upper()} or name a Secret in the platform section"
        if missing <= set(wanted.defaults):
            return {part: wanted.defaults[part] for part in missing}
        if wanted.secret is None:
            raise LookError("no-credentials", f"the credential {wanted.name} is not given; {hint}")
        from conformance.live import kubernetes

        namespace, _, name = wanted.secret.partition("/")
        try:
            path = KINDS["secrets"].path_of(name, namespace)
            secret = kubernetes.request(self._reach, "GET", path)
        except LookError as error:
            message = (
                f"the credential {wanted.name} cannot be read from {wanted.secret}: {error}; {hint}"
            )
            raise LookError("no-credentials", message, {"kind": error.kind}) from error
        found = dict(wanted.defaults)
        try:
            data = secret.get("data") or {}
            found |= {
                part: base64.b64decode(data[key], validate=True).decode()
                for part, key in wanted.keys.items()
                if key in data
            }
        except (AttributeError, TypeError, ValueError) as error:
            message = f"{wanted.secret} does not hold text in base64; {hint}"
            raise LookError("no-credentials", message) from error
        if lost := sorted(wanted.keys[part] for part in missing - set(found)):
            raise LookError("no-credentials", f"{wanted.secret} has no key {lost[0]}; {hint}")
        return {part: found[part] for part in missing}


def _prefix(wanted: Credential) -> str:
    return f"CONFORMANCE_{wanted.name}_".upper().replace("-", "_")


def _at_hand(wanted: Credential) -> dict[str, str]:
    """Return the parts that stand in the environment or in mounted files."""
    parts: dict[str, str] = {}
    for part, key in wanted.keys.items():
        variable = _prefix(wanted) + part.upper()
        file = Path(wanted.directory, key) if wanted.directory else None
        if variable in os.environ:
            parts[part] = os.environ[variable]
        elif file is not None and os.access(file, os.R_OK) and file.is_file():
            parts[part] = file.read_text(encoding="utf-8", errors="replace").rstrip("\n")
    return parts
