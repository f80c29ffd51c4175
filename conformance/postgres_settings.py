"""Settings of PostgreSQL: a configuration file's text, and what a server says of itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from conformance.verdict import UndecidedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.postgres_session import Session

STATEMENTS = (
    "SELECT name, setting, unit, vartype, source, sourcefile, pending_restart FROM pg_settings",
    "SELECT pg_has_role('pg_read_all_settings', 'USAGE')",
)
_LINE = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(?:=|\s)\s*('(?:[^'\\]|''|\\.)*'|[^\s#']+)\s*(?:#.*)?$")
_INCLUDES = {"include", "include_if_exists", "include_dir"}
_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z]*)\s*")
_BYTES = {"B": 1, "kB": 2**10, "8kB": 2**13, "MB": 2**20, "16MB": 2**24, "GB": 2**30, "TB": 2**40}
_MICROS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
_YES, _NO = {"on", "true", "yes", "1", "t", "y"}, {"off", "false", "no", "0", "f", "n"}
_LISTS = {"shared_preload_libraries", "session_preload_libraries", "local_preload_libraries"}
_LISTS |= {"listen_addresses", "log_destination", "unix_socket_directories", "search_path"}


def parsed(text: str) -> dict[str, str]:
    """Return the settings of a configuration file's text, names in lower case.

    As the server reads it: the last line of a name wins. Files that it includes are
    not in the text and left out. A line that is no setting is undecided, since the
    server would refuse the whole file.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise UndecidedError(f"line {number} of the declared configuration is no setting")
        name, value = match.group(1).lower(), match.group(2)
        if value.startswith("'"):
            value = re.sub(r"''|\\(.)", lambda part: part.group(1) or "'", value[1:-1])
        if name not in _INCLUDES:
            found[name] = value
    return found


@dataclass(frozen=True)
class Setting:
    """One setting as the server has it. `file` is None where the role may not see it."""

    name: str
    value: str
    unit: str | None
    type: str
    source: str
    file: str | None
    pending: bool

    def equals(self, wanted: str) -> bool:
        """Say whether a value, as people write it, means the value in force."""
        return _meaning(wanted, self) == _meaning(self.value, self)

    @property
    def told(self) -> str:
        """Return value, unit and source in words."""
        unit = f" x {self.unit}" if self.unit else ""
        return f"{self.value}{unit} (source: {self.source})"


def settings_of(session: Session) -> tuple[dict[str, Setting], bool]:
    """Return a server's settings by name, and whether the role may see all of them."""
    rows, whole = session.results[0].table, session.results[1].table
    return {row[0].lower(): Setting(*row) for row in rows}, bool(whole[0][0])


def differences(wanted: dict[str, str], found: dict[str, Setting]) -> Iterable[tuple[str, str]]:
    """Yield each setting that is not in force as wanted, and what is there instead."""
    for name, value in wanted.items():
        seen = found.get(name)
        if seen is None:
            yield name, "the server does not know it"
        elif not seen.equals(value):
            yield name, f"{seen.told} instead of {value}"
        elif seen.pending:
            yield name, f"{seen.told}, and another value is waiting for a restart"


def _meaning(value: str, of: Setting) -> object:
    """Return a comparable value: bytes, microseconds, a truth, a list, or the text."""
    text = value.strip()
    if of.type == "bool" or (of.type == "enum" and text.lower() in _YES | _NO):
        return _truth(text)
    if of.type == "enum":
        return text.lower()
    if of.type in {"integer", "real"}:
        return _amount(text, of)
    if of.name in _LISTS:
        return tuple(part.strip().strip('"') for part in text.split(",") if part.strip())
    return text


def _truth(text: str) -> object:
    lowered = text.lower()
    return True if lowered in _YES else False if lowered in _NO else lowered


def _amount(text: str, of: Setting) -> object:
    """Return a number in the setting's own unit, rounded as the server stores it."""
    match, base = _NUMBER.fullmatch(text), of.unit or ""
    if match is None:
        return _whole(text)
    number, unit = Decimal(match.group(1)), match.group(2)
    scale = next((one for one in (_BYTES, _MICROS) if base in one), {base: 1})
    factor = scale.get(unit or base)
    if factor is None:
        return text
    exact = number * factor / scale[base]
    return round(exact) if of.type == "integer" else exact


def _whole(text: str) -> object:
    try:
        return Decimal(int(text, 0))  # 0777, as file modes are written
    except (ValueError, InvalidOperation):
        return text
