"""Check that the record of a run is whole and unchanged.

Reads the ledger line by line (each carries the digest of the one before), the
seal, and every evidence file against the sealed manifest. Says where it breaks.
What it cannot know is who made the run: keep the printed seal somewhere else, and
give it with --seal to show that the run is the very one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from conformance.commands.common import print_json, say, unpacked
from conformance.judgement import CONFORMANT, NOT_WHOLE
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
        "--newer-than", metavar="DATE", help="demand that the run began after (ISO 8601)"
    )
    parser.add_argument("--seal", metavar="DIGEST", help="demand this very seal")
    parser.add_argument("--whole", action="store_true", help="refuse a partial or replayed run")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(options: argparse.Namespace) -> int:
    """Verify; exit 0 where everything holds, 2 where it does not."""
    try:
        with unpacked(options.record) as folder:
            opened, cases, seal = read(folder)
            check_evidence(folder, seal)
        _demands(options, opened, seal)
    except BrokenError as broken:
        say(f"conformance verify: {broken}")
        return NOT_WHOLE
    result = {
        "run": opened["run"],
        "started": opened["started"],
        "cluster": opened["cluster"]["uid"],
        "whole": opened["whole"] and not opened["replayed"],
        "cases": len(cases),
        "counts": seal["counts"],
        "seal": seal["digest"],
    }
    if options.json:
        print_json(result)
    else:
        print("unchanged since it was sealed")
        for key, value in result.items():
            print(f"  {key:<8} {value}")
    return CONFORMANT


def _demands(
    options: argparse.Namespace, opened: dict[str, object], seal: dict[str, object]
) -> None:
    cluster = opened["cluster"]
    uid = cluster.get("uid") if isinstance(cluster, dict) else None
    if options.cluster and uid != options.cluster:
        raise BrokenError(f"the run looked at the cluster {uid}, not {options.cluster}")
    if options.newer_than and str(opened["started"]) < options.newer_than:
        raise BrokenError(f"the run began at {opened['started']}, before {options.newer_than}")
    if options.seal and seal["digest"] != options.seal:
        raise BrokenError(f"the seal is {seal['digest']}, not {options.seal}")
    if options.whole and (not opened["whole"] or opened["replayed"]):
        raise BrokenError("the run is partial or replayed: it cannot stand for an audit")
