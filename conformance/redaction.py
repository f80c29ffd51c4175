"""Secrets stop here: by where they stand, and by their known values in any encoding."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus

_SENSITIVE = re.compile(
    r"(passw(or)?d|passphrase|secret|token|credential|api[-_]?key|private[-_]?key|authorization)$",
    re.IGNORECASE,
)
_SHORTEST = 4  # shorter values would blank out ordinary text


def encodings(value: str) -> set[str]:
    """Return the forms in which a secret value could stand in a text.

    Raw, URL-encoded (both ways), JSON-escaped, hex, and base64 in the three
    alignments that a longer text around it can give, without the characters
    that depend on the neighbours.
    """
    raw = value.encode()
    forms = {value, quote(value, ""), quote_plus(value), json.dumps(value)[1:-1], raw.hex()}
    forms.add(raw.hex().upper())
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        start = (offset * 8 + 5) // 6
        stop = len(whole) if (offset + len(raw)) % 3 == 0 else len(whole) - 1
        core = whole[start:stop]
        if len(core) >= _SHORTEST:
            forms |= {core, core.replace("+", "-").replace("/", "_")}
    return {one for one in forms if len(one) >= _SHORTEST}


def described(value: str) -> str:
    """Return what may be said of a secret: its length and the start of its SHA-256."""
    return f"*** ({len(value)} characters, sha256 {hashlib.sha256(value.encode()).hexdigest()[:8]})"


class Redactor:
    """Takes secrets out of JSON values and texts. Learns values as they are used."""

    def __init__(self) -> None:
        """Know no value yet."""
        self._forms: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._lock = Lock()

    def learn(self, value: str) -> None:
        """Remember a secret value; from now on no text that passes here shows it."""
        if len(value) < _SHORTEST:
            return
        with self._lock:
            for form in encodings(value):
                self._forms[form] = described(value)
            longest_first = sorted(self._forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(re.escape(one) for one in longest_first))

    def text(self, text: str) -> str:
        """Return a text without the known values."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._forms[match.group()], text)

    def found_in(self, text: str) -> bool:
        """Say whether a text shows a known value."""
        return self._pattern is not None and self._pattern.search(text) is not None

    def redact(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        """Return a JSON value without secrets: by place first, then by known value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.redact(one) for one in value]
        if isinstance(value, dict):
            return self._object(value)
        return value

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        named = isinstance(value.get("name"), str) and _SENSITIVE.search(value["name"])
        hidden = {key for key in value if _SENSITIVE.search(key)}
        if named:
            hidden.add("value")
        if value.get("kind") == "Secret" or (value.get("type") and "data" in value):
            hidden |= {"data", "stringData"}
        annotation = "kubectl.kubernetes.io/last-applied-configuration"
        return {
            self.text(key): _hidden(one)
            if key in hidden
            else _applied(one)
            if key == annotation
            else self.redact(one)
            for key, one in value.items()
        }


def _hidden(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return described(value)
    if isinstance(value, dict):
        return {key: _hidden(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_hidden(one) for one in value]
    return value


def _applied(value: Any) -> Any:  # noqa: ANN401 - JSON
    return described(value) if isinstance(value, str) else value
