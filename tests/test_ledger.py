"""A record that was cut, reordered, edited or added to is never taken for whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conformance.evidence import canonical
from conformance.ledger import FILE, MANIFEST, BrokenError, Ledger, check_evidence, read

if TYPE_CHECKING:
    from pathlib import Path

CASES = [{"case": f"PLT-WL-00{n}", "outcome": "passed"} for n in range(4)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    evidence = tmp_path / "evidence" / "kubernetes" / "list"
    evidence.mkdir(parents=True)
    (evidence / "pods-1.json").write_text(canonical({"value": []}))
    (evidence / "nodes-1.json").write_text(canonical({"value": [1]}))
    ledger = Ledger(tmp_path)
    ledger.open({"expected": [one["case"] for one in CASES]})
    for one in CASES:
        ledger.case(dict(one))
    ledger.seal({"ended": "2026-11-24T10:00:00+00:00", "problems": []})
    return tmp_path


def whole(run: Path) -> None:
    _, _, seal = read(run)
    check_evidence(run, seal)


def test_a_whole_record_is_read_back(run: Path) -> None:
    whole(run)
    opened, cases, seal = read(run)
    assert [one["case"] for one in cases] == opened["expected"]
    assert seal["counts"] == {"passed": 4}


def lines(run: Path) -> list[bytes]:
    return (run / FILE).read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("gone", range(6))
def test_a_lost_line_is_found(run: Path, gone: int) -> None:
    kept = lines(run)
    del kept[gone]
    (run / FILE).write_bytes(b"".join(kept))
    with pytest.raises(BrokenError, match=r"ledger\.jsonl"):
        read(run)


@pytest.mark.parametrize("first", range(5))
def test_swapped_lines_are_found(run: Path, first: int) -> None:
    kept = lines(run)
    kept[first], kept[first + 1] = kept[first + 1], kept[first]
    (run / FILE).write_bytes(b"".join(kept))
    with pytest.raises(BrokenError, match=r"ledger\.jsonl:\d"):
        read(run)


def test_a_record_cut_anywhere_is_found(run: Path) -> None:
    data = (run / FILE).read_bytes()
    for end in range(len(data)):
        (run / FILE).write_bytes(data[:end])
        with pytest.raises(BrokenError):
            read(run)


def test_every_flipped_byte_is_found(run: Path) -> None:
    for name in (FILE, MANIFEST, "evidence/kubernetes/list/pods-1.json"):
        data = (run / name).read_bytes()
        for place in range(len(data)):
            flipped = bytearray(data)
            flipped[place] ^= 0x01
            (run / name).write_bytes(flipped)
            with pytest.raises(BrokenError):
                whole(run)
        (run / name).write_bytes(data)
    whole(run)


def test_a_forged_line_needs_all_lines_after_it(run: Path) -> None:
    kept = lines(run)
    entry = json.loads(kept[2])
    entry["outcome"] = "failed"
    kept[2] = canonical(entry).encode() + b"\n"
    (run / FILE).write_bytes(b"".join(kept))
    with pytest.raises(BrokenError, match=":3: was changed"):
        read(run)


@pytest.mark.parametrize("change", ["added", "lost", "changed"])
def test_evidence_that_is_not_as_it_was_sealed_is_found(run: Path, change: str) -> None:
    file = run / "evidence" / "kubernetes" / "list" / "pods-1.json"
    if change == "added":
        file.with_name("more.json").write_text("{}")
    elif change == "lost":
        file.unlink()
    else:
        file.write_text(canonical({"value": [0]}))
    with pytest.raises(BrokenError, match="evidence"):
        whole(run)


def test_a_second_record_of_one_case_is_found(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.open({"expected": ["A"]})
    ledger.case({"case": "A", "outcome": "failed"})
    ledger.case({"case": "A", "outcome": "passed"})
    ledger.seal({})
    with pytest.raises(BrokenError, match="two records of A"):
        read(tmp_path)


def test_a_run_is_never_written_over(run: Path) -> None:
    with pytest.raises(FileExistsError):
        Ledger(run)


@pytest.mark.parametrize("text", ["", "\n", "null\n", "[]\n", "{}\n", "\x00\n", "{" * 2000 + "\n"])
def test_what_is_no_ledger_is_called_so(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(BrokenError):
        read(tmp_path)
