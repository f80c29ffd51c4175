"""Say which verdicts changed between two runs.

Prints one line per case whose outcome differs, worse ones first. Both records
are verified before they are compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.commands.common import print_json, refuse, say, unpacked
from conformance.judgement import CONFORMANT, NOT_WHOLE, VIOLATED
from conformance.ledger import BrokenError, check_evidence, read

if TYPE_CHECKING:
    import argparse

EPILOG = """\
exit codes: 0 nothing became worse · 1 something did · 2 a record is broken

example:
  conformance diff runs/before runs/after
"""
_BEST_FIRST = ("passed", "not applicable", "not measured", "inconclusive", "failed", "missing")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `diff`."""
    parser.add_argument("before", type=Path, metavar="RUN", help="the earlier run")
    parser.add_argument("after", type=Path, metavar="RUN", help="the later run")
    parser.add_argument("--json", action="store_true", help="print the changes as JSON")


def run(options: argparse.Namespace) -> int:
    """Compare; exit 1 where a case became worse or went missing."""
    before, after = _record(options.before), _record(options.after)
    if before[0]["cluster"]["uid"] != after[0]["cluster"]["uid"]:
        say("note: the runs looked at different clusters")
    first, second = _outcomes(before[1]), _outcomes(after[1])
    changes = [
        {"case": case, "before": first.get(case, "missing"), "after": second.get(case, "missing")}
        for case in sorted(set(first) | set(second))
        if first.get(case) != second.get(case)
    ]
    changes.sort(key=_step, reverse=True)
    worse = [one for one in changes if _step(one) > 0 and one["before"] != "missing"]
    if options.json:
        print_json({"changes": changes, "worse": len(worse)})
    else:
        for one in changes:
            print(f"{one['before']:>14} -> {one['after']:<14} {one['case']}")
        print(f"{len(changes)} changed, {len(worse)} for the worse")
    return VIOLATED if worse else CONFORMANT


def _step(change: dict[str, str]) -> int:
    return _BEST_FIRST.index(change["after"]) - _BEST_FIRST.index(change["before"])


def _record(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        with unpacked(path) as folder:
            opened, cases, seal = read(folder)
            check_evidence(folder, seal)
    except BrokenError as broken:
        refuse(str(broken), NOT_WHOLE)
    return opened, cases


def _outcomes(cases: list[dict[str, Any]]) -> dict[str, str]:
    return {one["case"]: one["outcome"] for one in cases}
