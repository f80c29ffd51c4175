"""A file that says the same is not touched, and a new one is for its owner only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.files import write

if TYPE_CHECKING:
    from pathlib import Path


def test_the_same_content_leaves_the_file_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "deep" / "config", "mode: iptables\n")
    before = path.stat()
    write(path, "mode: iptables\n")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_change_replaces_the_file_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "config", "one")
    write(path, b"two")
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["config"]
