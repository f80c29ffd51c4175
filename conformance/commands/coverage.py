"""List articles, metrics and controls, and what is built and proven of them.

A control counts as proven only where it has worlds that it passes, fails and
cannot decide, a break in the lab, and a day on which its mutants were caught.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from conformance import inventory
from conformance.commands.common import ROOT, add_map_options, constitution_of, print_json
from conformance.constitution import Constitution, Control, Status

if TYPE_CHECKING:
    import argparse

EPILOG = """\
examples:
  conformance coverage             the table of the README
  conformance coverage --json      every control, for machines
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `coverage`."""
    add_map_options(parser)
    parser.add_argument("--json", action="store_true", help="print every control as JSON")


def run(options: argparse.Namespace) -> int:
    """Print what is covered."""
    constitution = constitution_of(options)
    if options.json:
        print_json(
            {
                "controls": [facts(one) for one in constitution.controls],
                "claims": [
                    {
                        "ref": one.ref,
                        "kind": one.kind,
                        "controls": [c.id for c in constitution.answering(one.ref)],
                    }
                    for one in constitution.claims
                ],
            }
        )
    else:
        print(table(constitution))
    return 0


def facts(control: Control) -> dict[str, object]:
    """Return what the repository holds for one control."""
    return {
        "id": control.id,
        "suite": control.suite,
        "title": control.title,
        "status": str(control.status),
        "worlds": inventory.worlds(ROOT, control.id),
        "break": inventory.break_file(ROOT, control.id) is not None,
        "killed": inventory.killed(ROOT, control.id),
    }


def table(constitution: Constitution) -> str:
    """Return the coverage table of the README, in Markdown."""
    lines = [
        "| suite | controls | active | planned | worlds | breaks | mutants caught |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    total: Counter[str] = Counter()
    for suite in dict.fromkeys(one.suite for one in constitution.controls):
        found = [one for one in constitution.controls if one.suite == suite]
        counts = _counts(found)
        total += counts
        lines.append(_row(f"`{suite}`", counts))
    return "\n".join([*lines, _row("**all**", total)])


def _counts(controls: list[Control]) -> Counter[str]:
    rows = [facts(one) for one in controls]
    return Counter(
        controls=len(rows),
        active=sum(one.status is Status.ACTIVE for one in controls),
        planned=sum(one.status is Status.PLANNED for one in controls),
        worlds=sum(len(inventory.worlds(ROOT, one.id)) for one in controls),
        breaks=sum(bool(row["break"]) for row in rows),
        killed=sum(bool(row["killed"]) for row in rows),
    )


def _row(name: str, counts: Counter[str]) -> str:
    columns = ("controls", "active", "planned", "worlds", "breaks", "killed")
    return f"| {name} | " + " | ".join(str(counts[one]) for one in columns) + " |"
