"""The hash-chained record of a run, written by one process and judged by another.

`ledger.jsonl` has one entry a line: `open` (what was expected), `case` (one per
case), `seal` (counts and the digest of the evidence manifest). Each entry
carries the digest of the one before it, so that a line lost, moved or edited
afterwards is found, and where.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from conformance.evidence import canonical, manifest, write_whole

if TYPE_CHECKING:
    from pathlib import Path

FILE = "ledger.jsonl"
MANIFEST = "manifest.json"
_GENESIS = "0" * 64


class BrokenError(ValueError):
    """The record of a run is not whole. The message says which line and why."""


def _digest(entry: dict[str, Any]) -> str:
    body = {key: value for key, value in entry.items() if key != "digest"}
    return hashlib.sha256(canonical(body).encode()).hexdigest()


class Ledger:
    """Appends entries; each is on disk before the call returns.

    Raises:
        OSError: where the disk does not take an entry; the run then stays unsealed.
    """

    def __init__(self, folder: Path) -> None:
        """Start the record of a new run; refuse a folder that has one."""
        self._folder = folder
        self._previous = _GENESIS
        self._cases: list[dict[str, Any]] = []
        self._file = (folder / FILE).open("x", encoding="utf-8")

    def open(self, about: dict[str, Any]) -> None:
        """Write what the run is and which cases it must contain."""
        self._append({"kind": "open", **about})

    def case(self, record: dict[str, Any]) -> None:
        """Write one finished case."""
        self._cases.append(record)
        self._append({"kind": "case", **record})

    def seal(self, about: dict[str, Any]) -> None:
        """Write the manifest of the evidence and close the record for good."""
        files = manifest(self._folder)
        write_whole(self._folder / MANIFEST, canonical(files))
        counts: dict[str, int] = {}
        for one in self._cases:
            counts[one["outcome"]] = counts.get(one["outcome"], 0) + 1
        self._append(
            {
                "kind": "seal",
                "cases": len(self._cases),
                "counts": counts,
                "manifest": hashlib.sha256(canonical(files).encode()).hexdigest(),
                **about,
            }
        )
        self._file.close()

    def _append(self, entry: dict[str, Any]) -> None:
        entry["previous"] = self._previous
        entry["digest"] = self._previous = _digest(entry)
        self._file.write(canonical(entry) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Return the open entry, the cases and the seal of a whole record.

    Raises:
        BrokenError: where a line is missing, moved, edited, cut or of no known kind.
    """
    path = folder / FILE
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BrokenError(f"{path}: cannot be read: {error.strerror}") from error
    if lines.pop() != b"":
        raise BrokenError(f"{path}: the last line is cut: the run was interrupted while writing")
    entries = [_entry(path, number, line) for number, line in enumerate(lines, 1)]
    previous = _GENESIS
    for number, entry in enumerate(entries, 1):
        if entry.get("previous") != previous:
            raise BrokenError(f"{path}:{number}: does not follow the line before it")
        if entry.get("digest") != _digest(entry):
            raise BrokenError(f"{path}:{number}: was changed after it was written")
        previous = entry["digest"]
    kinds = [entry.get("kind") for entry in entries]
    if not kinds or kinds[0] != "open":
        raise BrokenError(f"{path}:1: does not say what was expected of the run")
    if kinds[-1] != "seal":
        raise BrokenError(f"{path}: has no seal: the run did not come to its end")
    if set(kinds[1:-1]) - {"case"}:
        raise BrokenError(f"{path}: has an entry that is neither a case nor at its place")
    _check_seal(path, entries[1:-1], entries[-1])
    return entries[0], entries[1:-1], entries[-1]


def _entry(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise BrokenError(f"{path}:{number}: is not JSON") from error
    if not isinstance(entry, dict) or canonical(entry).encode() != line:
        raise BrokenError(f"{path}:{number}: is not an entry as the suite writes them")
    return entry


def _check_seal(path: Path, cases: list[dict[str, Any]], seal: dict[str, Any]) -> None:
    ids = [one.get("case") for one in cases]
    twice = sorted({str(one) for one in ids if ids.count(one) > 1})
    if twice:
        raise BrokenError(f"{path}: has two records of {twice[0]}")
    if seal.get("cases") != len(cases):
        raise BrokenError(f"{path}: the seal counts {seal.get('cases')} cases, not {len(cases)}")


def check_evidence(folder: Path, seal: dict[str, Any]) -> None:
    """Compare the evidence with the sealed manifest.

    Raises:
        BrokenError: naming the first file that was added, lost or changed.
    """
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
        sealed = json.loads(text)
    except (OSError, ValueError) as error:
        raise BrokenError(f"{path}: cannot be read") from error
    if hashlib.sha256(text.encode()).hexdigest() != seal.get("manifest"):
        raise BrokenError(f"{path}: was changed after the run was sealed")
    found = manifest(folder)
    for name in sorted(set(sealed) | set(found)):
        if name not in found:
            raise BrokenError(f"{folder / name}: is missing; the run had it")
        if name not in sealed:
            raise BrokenError(f"{folder / name}: was added after the run was sealed")
        if sealed[name] != found[name]:
            raise BrokenError(f"{folder / name}: was changed after the run was sealed")
