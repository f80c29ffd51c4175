"""The evidence files of a run, numbered, so that findings can cite them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Exhibit:
    """One evidence file: what was asked, from where, when, and the digest of the answer.

    `size` is in bytes, `taken_at` ISO 8601; `error` is the kind of the error where
    the look gave no answer.
    """

    number: int
    path: str
    digest: str
    size: int
    probe: str = ""
    subject: str = ""
    vantage: str = ""
    taken_at: str = ""
    error: str = ""

    @property
    def href(self) -> str:
        """Return the file's address as seen from the folder of the reports."""
        return "../" + quote(self.path, errors="replace")


def exhibits(folder: Path) -> tuple[Exhibit, ...]:
    """Return every evidence file below a run's folder, in the order of their paths."""
    files = sorted(
        one
        for one in (folder / "evidence").rglob("*.json")
        if one.is_file() and not one.is_symlink()
    )
    return tuple(
        _exhibit(number, str(one.relative_to(folder)), one.read_bytes())
        for number, one in enumerate(files, 1)
    )


def _exhibit(number: int, path: str, content: bytes) -> Exhibit:
    """Describe one file; of one that is not as the lens writes them, only size and digest."""
    digest = sha256(content).hexdigest()
    try:
        record = json.loads(content)
        question, error = record["question"], record.get("error") or {}
        return Exhibit(
            number,
            path,
            digest,
            len(content),
            probe=str(question["probe"]),
            subject=str(question["subject"]),
            vantage=str(question["vantage"]),
            taken_at=str(record["taken_at"]),
            error=str(error.get("kind", "")),
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return Exhibit(number, path, digest, len(content))
