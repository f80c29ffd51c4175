"""Weakness of secret values: placeholders, defaults, guessable ones; and where texts hold secrets.

Pure rules, used by `conformance.live` on values that never leave it. What they
return are classes (words), never a part of the value.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST = 16  # characters
WEAKEST = 50.0  # bits: 16 random hex digits have 64, and may by chance hold a run or a word

_LOGIN = r"passw(?:or)?d|passwd|passphrase|pwd|pass|requirepass|masterauth"
_OTHER = r"secret|token|credentials?|(?:api|access|secret|private|signing|encryption)[-_. ]?key|dsn"
_SECRET_KEY = re.compile(rf"(?:^|[-_. ]|[a-z])(?:{_LOGIN}|{_OTHER}|auth|salt|pin)$", re.IGNORECASE)
_PASS_KEY = re.compile(rf"(?:{_LOGIN})$", re.IGNORECASE)
_PUBLIC_KEY = re.compile(
    r"(user|username|login|database|dbname|host|hostname|port|server|endpoint|url|uri|address"
    r"|email|name|namespace|region|bucket|realm|issuer|ca\.crt|tls\.crt|\.crt|\.pem|\.pub|public"
    r"|public[-_]?key|fingerprint|client[-_]?id|type|version|enabled)$",
    re.IGNORECASE,
)
_UNFILLED = re.compile(
    r"\$\{[A-Za-z_][\w.:-]*\}|\$\([A-Za-z_]\w*\)|\{\{.*\}\}|%[A-Z_]+%|<[^<>\s][^<>]*>|__[A-Z_]+__"
    r"|.*change[-_ .]?(?:me|this|it|in[-_ ]prod\w*).*"
    r"|(?:please[-_ ]?)?replace(?:[-_ ]?(?:me|this|with)\b.*)?"
    r"|(?:insert|enter|put|add)[-_ ].*here|your[-_ ].*|todo|tbd|fixme|to[-_ ]be[-_ ].*",
    re.IGNORECASE,
)
_NOBODYS = re.compile(
    r".*placeholder.*|.*\bexample\b.*|x{3,}|\.{3,}|\*{3,}|dummy|sample|redacted|not[-_ ]?set|none"
    r"|null|undefined",
    re.IGNORECASE,
)
_DEFAULTS = frozenset(
    """admin administrator password passw0rd p@ssw0rd p@ssword postgres postgresql neo4j
    prom-operator root changeit guest redis elastic elasticsearch grafana kibana secret
    secretpassword supersecret mysecretpassword minio minioadmin vault kafka zookeeper test
    testing tester user default letmein welcome qwerty qwertz iloveyou monkey dragon master login
    abc abcd foobared foobar foo bar pass passwd toor token key demo dev development prod
    production staging local temp argocd jaeger prometheus rabbitmq mysql mongo oracle system
    manager tomcat trustno sa hunter""".split()  # noqa: SIM905 - a list of words would fill a page
)
_WORDS = sorted((one for one in _DEFAULTS if len(one) > 3), key=len, reverse=True)  # noqa: PLR2004
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "0123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_RUN = 4  # characters in a row that count as one thing to guess


@dataclass(frozen=True)
class Found:
    """A secret in a text: under which `key` it stands, what `kind` it is, and its value."""

    key: str
    kind: str
    value: str


def is_secret_key(key: str) -> bool:
    """Say whether what stands under a key is meant to be secret, by the key's last word."""
    return bool(_SECRET_KEY.search(key)) and not _PUBLIC_KEY.search(key)


def placeholder(key: str, value: str, names: frozenset[str] = frozenset()) -> str:
    """Return why a value is nobody's secret, as a class; empty where it may be one.

    `names` are further words that anybody could guess: of the Secret, of its user.
    Under a key that is not secret (a user's name, a host), only what is plainly left
    to be filled in counts.
    """
    text = value.strip()
    secret = is_secret_key(key)
    if not text:
        return "empty" if secret else ""
    for reading, form in ((text, ""), (_decoded(text), "base64 of ")):
        if not reading:
            continue
        if _UNFILLED.fullmatch(reading):
            return f"{form}a placeholder"
        if not secret:
            continue
        if _NOBODYS.fullmatch(reading):
            return f"{form}a placeholder"
        if _bare(reading) in _DEFAULTS:
            return f"{form}a well-known default"
        if _folded(reading) in {_folded(key), *map(_folded, names)} - {""}:
            return f"{form}its own name"
    return ""


def bits(value: str) -> float:
    """Return roughly how many bits must be guessed: words, rows and repetitions count little."""
    text = value
    total = 0.0
    for size in range(1, len(text) // 2 + 1):
        if text == (text[:size] * (len(text) // size + 1))[: len(text)]:
            return bits(text[:size]) + 4 if size > 1 else 4.0
    lowered = text.lower()
    for word in _WORDS:
        if word in lowered:
            total += 8
            lowered = lowered.replace(word, "\0")
    kept = [one for one in lowered if one != "\0"]
    while kept:
        run = _run_at(kept)
        total += _size(text) if run < _RUN else 8.0
        del kept[: 1 if run < _RUN else run]
    return total


def weak(value: str) -> str:
    """Return why a value is weak, as a class; empty where it is strong."""
    if len(value) < SHORTEST:
        return "short"
    return "guessable" if bits(value) < WEAKEST else ""


def within(text: str, *, code: bool = False) -> Iterator[Found]:
    """Yield the secrets that stand in a text: settings, connection URIs, known formats.

    Comments hold no settings. In `code` (a script), only quoted words are values.
    References (`$x`, `{{ x }}`), paths, switches and numbers are none.
    """
    yield from known_formats(text)
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith(("#", "//", ";", "-- ", "*", "/*")):
            continue
        for match in _SETTING.finditer(line):
            key, quoted, bare = match["key"], match["quoted"], match["bare"]
            value = quoted if quoted is not None else "" if code else bare or ""
            if is_literal(key, value):
                yield Found(key, "a setting", value)
        for match in _SPACED.finditer(stripped):
            if is_literal("password", match["value"].strip("\"'")):
                yield Found(match["key"], "a setting", match["value"])
        for match in _SQL.finditer(line):
            yield Found("PASSWORD", "an SQL password", match["value"])


def known_formats(text: str) -> Iterator[Found]:
    """Yield what is a secret wherever it stands: keys and tokens of known forms, URIs with one."""
    for kind, pattern in _FORMATS:
        for match in pattern.finditer(text):
            yield Found("", kind, match.group())
    for match in _USER_INFO.finditer(text):
        if is_literal("password", match["value"]):
            yield Found("", "a URI with a password", match["value"])


def is_literal(key: str, value: str) -> bool:
    """Say whether a key's value is a secret written out, and no reference to one.

    A word that names something (`existingSecret: db-credentials`) is none, but under a
    key of passwords every word is one.
    """
    text = value.strip().strip("\"'")
    if not is_secret_key(key) or not text or _NO_VALUE.fullmatch(text):
        return False
    if _PASS_KEY.search(key):
        return True
    if text.isdigit():
        return False
    if _UNFILLED.fullmatch(text):
        return True
    mixed = re.search(r"\d", text) and re.search(r"[A-Za-z]", text)
    return bool(mixed) and not _NAME.fullmatch(text) and bits(text) >= _RANDOM


_RANDOM = 40.0  # bits from which a word is more than a name
_NAME = re.compile(r"[a-z]+(?:[-._/][a-z]+|[-._/]?\d{1,4})*")  # of an object: db-credentials-1
_NO_VALUE = re.compile(
    r"\$.*|%\w+%|\{\{.*|.*\{\{.*\}\}.*|\(.*|[/~].*|\./.*|true|false|yes|no|on|off|none|null|nil|\||>|>-|\|-"
    r"|required|optional|disabled|enabled|file:.*|env:.*|vault:.*|ref\+.*|<.*|:.*|\[.*|\*+|-"
    r"|md5|scram-sha-256|[A-Za-z_][\w.]*[(\[].*|os\.environ.*|process\.env.*",
    re.IGNORECASE | re.DOTALL,
)
_SETTING = re.compile(
    r"""(?P<open>["']?)(?P<key>[A-Za-z][\w.-]*)(?P=open)(?:\s*:\s|:(?=["'])|\s*:?=)\s*"""
    r"""(?:["'](?P<quoted>[^"'\n]*)["']|(?P<bare>[^\s"',;}&#]+))"""
)
_SPACED = re.compile(
    r"^(?:user\s.*>)?(?P<key>requirepass|masterauth|auth-pass \S+)\s+(?P<value>\S+)$"
)
_SQL = re.compile(r"\bPASSWORD\s+'(?P<value>[^']+)'", re.IGNORECASE)
_USER_INFO = re.compile(
    r"[a-z][a-z0-9+.-]*://[^\s/:@\"']*:(?P<value>[^\s/@\"']+)@(?!sha\d+:)", re.IGNORECASE
)
_FORMATS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("a private key", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
        ("an AWS access key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        ("a GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_\w{50,}\b"),
        ("a GitLab token", r"\bglpat-[\w-]{20,}"),
        ("a Slack token", r"\bxox[abeoprs]-[\w-]{10,}"),
        ("a Slack webhook", r"https://hooks\.slack\.com/services/[\w/]{20,}"),
        ("a Google API key", r"\bAIza[\w-]{35}\b"),
        ("an OpenAI or Anthropic key", r"\bsk-(?:ant-|proj-)?[\w-]{20,}"),
        ("a Vault token", r"\bhv[sbr]\.[\w-]{20,}"),
        ("an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("a Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{20,}"),
        ("a signed token (JWT)", r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    )
)


def _decoded(text: str) -> str:
    """Return what a text is the base64 of, where that is a printable text; else nothing."""
    try:
        raw = base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    return raw.strip() if raw.strip().isprintable() and len(text) % 4 == 0 else ""


def _folded(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _bare(text: str) -> str:
    """Return a word without the digits and signs that are put behind a default to please a rule."""
    return re.sub(r"[\d!@#$%^&*._-]+$", "", text.lower()) or (
        "test" if re.fullmatch(r"(?:0?123456789?0?|1{3,}|0{3,})", text) else text.lower()
    )


def _size(text: str) -> float:
    """Return the bits of one character, by the alphabet that the whole text uses."""
    if re.fullmatch(r"\d+", text):
        return math.log2(10)
    if re.fullmatch(r"[0-9a-f-]+|[0-9A-F-]+", text):
        return 4.0
    parts = ((r"[a-z]", 26), (r"[A-Z]", 26), (r"\d", 10), (r"[^A-Za-z\d]", 10))
    return math.log2(sum(size for pattern, size in parts if re.search(pattern, text)))


def _run_at(kept: list[str]) -> int:
    """Return how many characters from the first on are one repeated, or go along a row."""
    best = 1
    for row in (kept[0] * len(kept), *_ROWS, *(one[::-1] for one in _ROWS)):
        start = row.find(kept[0])
        length = 0
        going = row[start:] if start >= 0 else ""
        while length < min(len(kept), len(going)) and kept[length] == going[length]:
            length += 1
        best = max(best, length)
    return best
