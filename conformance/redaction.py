"""Secrets stop here: by where they stand, by their shape, and by their known values."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import os
import re
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_WORDS = (
    r"(passw(or)?d|pwd|passphrase|requirepass|masterauth|secret|token|credential"
    r"|(api|access|private)[-_]?key|authorization)"
)
_SENSITIVE = re.compile(rf"{_WORDS}$", re.IGNORECASE)
_OPTION = re.compile(rf"(?P<name>--?[\w.-]*{_WORDS})(=(?P<value>.+))?", re.IGNORECASE | re.DOTALL)
_NO_SECRET = re.compile(r"\$.*|/.*|-.*|true|false|\d+|", re.DOTALL)  # a reference, path, switch
_KEY_BLOCK = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END|\Z)", re.DOTALL)
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_USER_INFO = re.compile(r"(://[^\s/:@]*:)(?!\$)[^\s/@]+(?=@(?!sha\d+:))")  # no image's tag
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SHORTEST = 4  # shorter values would blank out ordinary text
_WORD = re.compile(r"[A-Za-z]{1,8}|\d{1,5}")  # likewise `postgres`, `password`, a port's number
_SHORTEST_LINE = 12  # likewise, of one line of a longer value
_digest_key = os.urandom(16)


def digest_key() -> bytes:
    """Return what keys the digests of secrets in this run."""
    return _digest_key


def use_digest_key(key: bytes) -> None:
    """Take over the key of the run's first process, so that equal secrets look equal."""
    global _digest_key  # noqa: PLW0603 - one key per process, kept nowhere else
    _digest_key = key


def described(value: str) -> str:
    """Return what may be said of a secret: its length, and a digest to tell it from others.

    The digest is keyed by the run: nobody can try passwords on a report.
    """
    digest = hmac.digest(_digest_key, _bytes(value), hashlib.sha256).hex()
    return f"*** ({len(value)} characters, keyed digest {digest[:8]})"


def encodings(value: str) -> set[str]:
    """Return the forms in which a secret value could stand in a text.

    Raw, URL-encoded, as JSON, Python, HTML and XML escape it, hex, and base64 in
    the three alignments that a longer text around it can give, without the
    characters that depend on the neighbours; each of them also within JSON.
    """
    raw = _bytes(value)
    forms = {value, repr(value)[1:-1], json.dumps(value)[1:-1]}
    forms |= {json.dumps(value, ensure_ascii=False)[1:-1]}
    forms |= {html.escape(value), html.escape(value, quote=False), raw.hex(), raw.hex().upper()}
    for form in (quote(raw, ""), quote(raw), quote_plus(raw)):
        forms |= {form, re.sub("%..", lambda match: match.group().lower(), form)}
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        start = (offset * 8 + 5) // 6
        stop = len(whole) if (offset + len(raw)) % 3 == 0 else len(whole) - 1
        core = whole[start:stop]
        forms |= {core, core.replace("+", "-").replace("/", "_")}
    forms |= {json.dumps(one)[1:-1] for one in forms}
    return {one for one in forms if len(one) >= _SHORTEST}


class Redactor:
    """Takes secrets out of JSON values and texts. Learns values as they are used."""

    def __init__(self) -> None:
        """Know no value yet."""
        self._values: set[str] = set()
        self._forms: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._lock = Lock()

    def learn(self, *values: str) -> None:
        """Remember secret values; from now on no text that passes here shows them.

        A plain word is not remembered: taking it out of every text would take the
        evidence apart, and would not hide what anybody guesses.
        """
        plain = {one for one in values if len(one) < _SHORTEST or _WORD.fullmatch(one)}
        with self._lock:
            new = set(values) - plain - self._values
            if not new:
                return
            self._values |= new
            for value in new:
                for part in (value, *_lines(value)):
                    self._forms |= dict.fromkeys(encodings(part), described(part))
            longest_first = sorted(self._forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(re.escape(one) for one in longest_first))

    def known(self) -> tuple[str, ...]:
        """Return the values themselves, for the run's other processes and nobody else."""
        return tuple(self._values)

    def text(self, text: str) -> str:
        """Return a text without the known values, and without what has a secret's shape."""
        if self._pattern is not None:
            text = self._pattern.sub(lambda match: self._forms[match.group()], text)
        if "PRIVATE KEY" in text:
            text = _KEY_BLOCK.sub(r"\1***\2", text)
        if "eyJ" in text:
            text = _JWT.sub(lambda match: described(match.group()), text)
        if "://" in text and "@" in text:
            text = _USER_INFO.sub(r"\1***", text)
        return text

    def found_in(self, text: str) -> bool:
        """Say whether a text shows a known value."""
        return self._pattern is not None and self._pattern.search(text) is not None

    def shown_below(self, folder: Path) -> Iterator[str]:
        """Yield the path, redacted, of every file below `folder` (or of itself) with a value.

        A value in the name of a file counts as well.
        """
        if self._pattern is None:
            return
        for one in [folder, *sorted(folder.rglob("*"))]:
            inside = one.relative_to(folder)
            if self.found_in(str(inside)) or (one.is_file() and self._stands_in(one)):
                yield self.text(str(folder.name / inside))

    def _stands_in(self, file: Path) -> bool:
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        return any(form in text for form in self._forms)  # many times faster than the pattern

    def redact(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        """Return a JSON value without secrets: by place first, then as `text` does."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return list(self._list(value))
        if isinstance(value, dict):
            return self._object(value)
        return value if value is None or isinstance(value, bool) else self._number(value)

    def _list(self, values: Iterable[Any]) -> Iterator[Any]:
        """Redact a list; of command lines, also what follows an option such as `--password`."""
        secret_follows = False
        for one in values:
            option = _OPTION.fullmatch(one) if isinstance(one, str) and one[:1] == "-" else None
            if secret_follows and isinstance(one, str) and not _NO_SECRET.fullmatch(one):
                yield described(one)
            elif option and option["value"] and not _NO_SECRET.fullmatch(option["value"]):
                yield f"{option['name']}={described(option['value'])}"
            else:
                yield self.redact(one)
            secret_follows = option is not None and option["value"] is None

    def _number(self, value: float) -> float | str:
        return described(str(value)) if str(value) in self._values else value

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        hidden = {key for key in value if _SENSITIVE.search(str(key))}
        if isinstance(value.get("name"), str) and _SENSITIVE.search(value["name"]):
            hidden.add("value")
        if value.get("kind") == "Secret" or (value.get("type") and "data" in value):
            hidden |= {"data", "stringData"}
        hidden.add(_APPLIED)
        return {
            self.text(str(key)): _hidden(one)
            if key in hidden and not _names_a_secret(key, one)
            else self.redact(one)
            for key, one in value.items()
        }


def _names_a_secret(key: str, value: Any) -> bool:  # noqa: ANN401 - JSON
    """Say whether this is Kubernetes' way of naming a Secret, as volumes do, and no secret."""
    return str(key).lower().endswith("secret") and isinstance(value, dict)


def _hidden(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _hidden(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(one) for one in value]
    if value is None or isinstance(value, bool):
        return value
    return described(str(value))


def _lines(value: str) -> list[str]:
    lines = value.splitlines() if "\n" in value.strip() else []
    return [one for one in lines if len(one) >= _SHORTEST_LINE and not one.startswith("-----")]


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")  # the environment and JSON may hold half of one
