"""The index of the evidence, whatever the files hold."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from reports.evidence import exhibits
from reports.model import Report
from reports.page import html
from tests.reports.synthetic import HOSTILE
from tests.reports.test_page import Parsed

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, name: str, content: bytes) -> None:
    path = folder / "evidence" / "pg" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def record(text: str, *, error: bool = False) -> bytes:
    question = {"probe": text, "subject": text, "vantage": text}
    answer = {"error": {"kind": text, "message": text}} if error else {"value": text}
    return json.dumps({"question": question, "taken_at": text, **answer}).encode()


def test_each_file_is_described_by_its_own_record(tmp_path: Path) -> None:
    content = record("pg.query", error=True)
    written(tmp_path, "a.json", content)
    (one,) = exhibits(tmp_path)
    assert (one.number, one.path, one.probe) == (1, "evidence/pg/a.json", "pg.query")
    assert (one.error, one.size) == ("pg.query", len(content))
    assert one.digest == sha256(content).hexdigest()
    assert one.href == "../evidence/pg/a.json"


def test_what_is_no_record_keeps_its_place_and_digest(tmp_path: Path) -> None:
    for name, content in (
        ("a.json", b"\xff\x00"),
        ("b.json", b"[]"),
        ("c.json", b'{"question": 1}'),
        ("d.json", b'{"question": {}, "error": "x"}'),
        ("e.json", b""),
    ):
        written(tmp_path, name, content)
    found = exhibits(tmp_path)
    assert [one.number for one in found] == [1, 2, 3, 4, 5]
    assert all(not one.probe and one.digest for one in found)


def test_links_out_of_the_run_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes(record("x"))
    written(tmp_path / "run", "a.json", record("x"))
    (tmp_path / "run" / "evidence" / "pg" / "b.json").symlink_to(outside)
    assert [one.path for one in exhibits(tmp_path / "run")] == ["evidence/pg/a.json"]


def test_hostile_evidence_stays_text(green: Report, tmp_path: Path) -> None:
    for number, text in enumerate(HOSTILE):
        written(tmp_path, f"{number}.json", record(text, error=True))
        written(tmp_path, f"{number}-\u202e<b>'\".json", record(text))
    report = Report(green.run, green.constitution)
    report.__dict__["exhibits"] = exhibits(tmp_path)
    assert len(report.exhibits) == 2 * len(HOSTILE)
    Parsed(html(report))
