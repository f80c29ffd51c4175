"""Say what a control requires, how it decides, and what to do when it fails."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from conformance import inventory
from conformance.commands.common import ROOT, add_map_options, constitution_of, print_json, refuse
from conformance.constitution import Constitution, Control, SelfCheck
from conformance.selection import SELECTORS, case_id

if TYPE_CHECKING:
    import argparse

EPILOG = """\
examples:
  conformance explain PG-003
  conformance explain SM-S1     which controls decide a success metric
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `explain`."""
    parser.add_argument(
        "id", help="a control, a self-check, an article, a metric, a limitation, a risk"
    )
    add_map_options(parser)
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Explain one id."""
    constitution = constitution_of(options)
    names = [one.id for one in constitution.tested] + [one.ref for one in constitution.claims]
    name = options.id.upper()
    if name not in names:
        near = difflib.get_close_matches(name, names, 3)
        hint = f"did you mean {', '.join(near)}?" if near else "see: conformance coverage"
        refuse(f"nothing is called {options.id}; {hint}")
    facts = (
        _claim(name, constitution)
        if _is_claim(name, constitution)
        else _control(name, constitution)
    )
    if options.json:
        print_json(facts)
        return 0
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        lines = value if isinstance(value, list) else str(value).splitlines()
        for number, line in enumerate(lines or ["-"]):
            print(f"{key if not number else '':<{width}}  {line}")
    return 0


def _is_claim(name: str, constitution: Constitution) -> bool:
    return any(one.ref == name for one in constitution.claims)


def _claim(name: str, constitution: Constitution) -> dict[str, object]:
    one = next(one for one in constitution.claims if one.ref == name)
    return {
        one.kind: f"{one.ref}: {one.title}",
        "says": f"line {one.line}: {one.text}",
        "marked": one.mark or "no mark",
        "decided by": [f"{c.id} ({c.status}) {c.title}" for c in constitution.answering(name)]
        or [one.undecided or "-"],
    }


def _control(name: str, constitution: Constitution) -> dict[str, object]:
    one = constitution.anything(name)
    test = inventory.tests(ROOT).get(name)
    facts: dict[str, object] = {"control": f"{one.id}: {one.title}", "status": str(one.status)}
    if isinstance(one, SelfCheck):
        facts["why"] = one.why
    if isinstance(one, Control):
        facts |= {
            "severity": str(one.severity),
            "levels": ", ".join(one.levels),
            "class": ", ".join(one.classes),
            "answers to": _claims_of(one, constitution),
            "lines": ", ".join(f"S{line}" for line in one.status_lines),
        }
    cases = SELECTORS[one.for_each].of(constitution.platform)
    return {
        **facts,
        "judged for": [
            case_id(one.id, case) + (f" (not applicable: {case.absent})" if case.absent else "")
            for case in cases
        ],
        "needs": [
            *one.needs.api,
            *(f"credential {c}" for c in one.needs.credentials),
            *(f"vantage {v}" for v in one.needs.vantages),
            *(f"self-check {g}" for g in one.needs.guards),
            *(f"component {c}" for c in one.needs.components),
        ],
        "decides": test.text if test else "no test yet: the control is planned",
        "test": f"{test.file}:{test.line}" if test else "-",
        "break": _break(name),
    }


def _claims_of(control: Control, constitution: Constitution) -> list[str]:
    return [
        f"{claim.ref} (line {claim.line}): {claim.text}"
        for claim in constitution.claims
        if claim.ref in control.refs
    ]


def _break(name: str) -> str:
    path = inventory.break_file(ROOT, name)
    return str(path.relative_to(ROOT)) if path else "-"
