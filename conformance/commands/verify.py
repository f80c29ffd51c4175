"""Check that the record of a run is whole and unchanged.

Reads the ledger line by line (each carries the digest of the one before), the
seal, and every evidence file against the sealed manifest. Says where it breaks.
What it cannot know is who made the run: keep the printed seal somewhere else, and
give it with --seal to show that the run is the very one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.commands.common import print_json, say, unpacked
from conformance.judgement import CONFORMANT, NOT_WHOLE, shortcomings
from conformance.ledger import BrokenError, check_evidence, read

if TYPE_CHECKING:
    import argparse

EPILOG = """\
examples:
  conformance verify runs/20261124T101500Z
  conformance verify release.tar.xz --cluster 6b3c… --newer-than 2026-11-24
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `verify`."""
    parser.add_argument("record", type=Path, metavar="RUN", help="folder of a run, or its .tar.xz")
    parser.add_argument("--cluster", metavar="UID", help="demand that this cluster was looked at")
    parser.add_argument(
        "--newer-than",
        type=moment,
        metavar="DATE",
        help="demand that the run began after (ISO 8601; UTC where no zone is named)",
    )
    parser.add_argument("--seal", metavar="DIGEST", help="demand this very seal")
    parser.add_argument("--whole", action="store_true", help="refuse a partial or replayed run")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(options: argparse.Namespace) -> int:
    """Verify; exit 0 where the record is whole and unchanged, 2 where it is not."""
    try:
        with unpacked(options.record) as folder:
            opened, cases, seal = read(folder)
            check_evidence(folder, seal)
        lacking = shortcomings(opened, cases, seal)
        _demands(options, opened, seal, lacking)
    except BrokenError as broken:
        say(f"conformance verify: {broken}")
        return NOT_WHOLE
    result = {
        "run": opened["run"],
        "started": opened["started"],
        "cluster": opened["cluster"]["uid"],
        "whole": opened["whole"] and not opened["replayed"] and not lacking,
        "problems": lacking,
        "cases": len(cases),
        "counts": seal["counts"],
        "seal": seal["digest"],
    }
    if options.json:
        print_json(result)
    else:
        print("unchanged since it was sealed")
        for key, value in result.items():
            for one in value if isinstance(value, list) else (value,):
                print(f"  {key:<8} {one}")
    return NOT_WHOLE if lacking else CONFORMANT


def _demands(
    options: argparse.Namespace,
    opened: dict[str, object],
    seal: dict[str, object],
    lacking: list[str],
) -> None:
    cluster = opened["cluster"]
    uid = cluster.get("uid") if isinstance(cluster, dict) else None
    if options.cluster and uid != options.cluster:
        raise BrokenError(f"the run looked at the cluster {uid}, not {options.cluster}")
    if options.newer_than and moment(str(opened["started"])) < options.newer_than:
        raise BrokenError(f"the run began at {opened['started']}, before {options.newer_than}")
    if options.seal and seal["digest"] != options.seal:
        raise BrokenError(f"the seal is {seal['digest']}, not {options.seal}")
    if options.whole and (lacking or not opened["whole"] or opened["replayed"]):
        raise BrokenError("the run is partial, replayed or cut: it cannot stand for an audit")


def moment(text: str) -> datetime:
    """Read a date or time of ISO 8601; where it names no zone, UTC is meant."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
