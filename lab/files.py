"""Write configuration so that nobody sees half a file, or a change where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, content: str | bytes) -> Path:
    """Write a file for its owner's eyes, whole or not at all, and only if its content changes.

    kube-proxy ends itself when somebody touches its configuration, and others reload theirs.
    """
    wanted = content.encode() if isinstance(content, str) else content
    if path.exists() and path.read_bytes() == wanted:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.touch(mode=0o600)
    temporary.write_bytes(wanted)
    temporary.replace(path)
    return path
