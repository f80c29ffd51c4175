"""Record a world from a run: `python -m tests.worlds record RUN CASE ADJECTIVE`.

`record` copies what the case looked at and then leaves out all that the verdict
does not rest on (objects, fields), as long as every finding stays the same.
`deny RUN CASE` makes the world in which every look of the case is forbidden.
`check [CONTROL]` decides the worlds again and says which differ.
`kill [CONTROL]` forces each claim of a control to hold, one at a time, says which
world notices, and where all are noticed keeps the day in `killed.json`.
RUN is the folder of a run. Commit the result after reading it.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.ledger import FILE
from tests.killing import mutants, record
from tests.replaying import (
    LAB,
    WORLDS,
    constitution_with,
    decide,
    decide_case,
    tests_by_control,
    worlds,
)

_BUDGET = 4_000  # replays that minimising one world may cost


def main() -> int:
    """Run one of the three commands."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.worlds",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("record", "deny"):
        command = commands.add_parser(name)
        command.add_argument("run", type=Path)
        command.add_argument("case")
        command.add_argument("adjective", nargs="?" if name == "deny" else None, default="denied")
        command.add_argument("--platform", type=Path, default=LAB)
        command.add_argument("--whole", action="store_true", help="do not minimise")
    commands.add_parser("check").add_argument("control", nargs="?", default="")
    commands.add_parser("kill").add_argument("control", nargs="?", default="")
    options = parser.parse_args()
    if options.command in {"check", "kill"}:
        return (_check if options.command == "check" else _kill)(options.control)
    return _record(options)


def _kill(start: str) -> int:
    survived = 0
    for control in sorted(one for one in tests_by_control() if one.startswith(start)):
        if control.startswith("H-"):
            continue
        found = list(mutants(control))
        record(control, found, datetime.now(UTC).date())
        survived += sum(one.caught_by is None for one in found)
        for one in found:
            print(f"{control} {one}")  # noqa: T201
    return 1 if survived else 0


def _check(control: str) -> int:
    wrong = 0
    for world in worlds():
        if not world.name.startswith(control):
            continue
        outcome, verdict = decide(world)
        same = str(outcome) == world.expected["outcome"]
        wrong += not same
        print(f"{'ok   ' if same else 'WRONG'} {world.name}: {outcome}")  # noqa: T201
        if not same:
            for one in verdict.findings:
                print(f"      {one.outcome}: {one.subject}: {one.claim}: {one.observed}")  # noqa: T201
    return 1 if wrong else 0


def _record(options: argparse.Namespace) -> int:
    entry = _entry(options.run, options.case)
    records = [json.loads((options.run / one).read_text()) for one in entry["evidence"]]
    if options.command == "deny":
        error = {"kind": "forbidden", "message": "the API answered 403: forbidden", "detail": None}
        records = [
            {**{k: v for k, v in one.items() if k != "value"}, "error": error} for one in records
        ]
    constitution = constitution_with(options.platform)

    def verdict_of(trial: list[dict[str, Any]]) -> Any:
        try:
            outcome, verdict = decide_case(
                options.case, trial, constitution, frozenset({"read-only", "canary"})
            )
        except Exception as error:  # noqa: BLE001 - a trial that breaks the test is no candidate
            return type(error).__name__
        return str(outcome), [
            (f.subject, f.claim, str(f.outcome), f.observed) for f in verdict.findings
        ]

    wanted = verdict_of(records)
    if not options.whole and options.command == "record":
        records = _minimised(records, lambda trial: verdict_of(trial) == wanted)
    folder = WORLDS / options.case.partition("[")[0] / options.adjective
    folder.mkdir(parents=True, exist_ok=True)
    outcome, findings = wanted
    expected = {
        "case": options.case,
        "outcome": outcome,
        "findings": [list(one[:3]) for one in findings if one[2] != "passed"],
    }
    _write(folder / "evidence.json", records)
    _write(folder / "expected.json", expected)
    size = (folder / "evidence.json").stat().st_size
    print(f"{folder}: {outcome}, {len(records)} answers, {size} bytes")  # noqa: T201
    return 0


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True) + "\n")


def _entry(run: Path, case: str) -> dict[str, Any]:
    for line in (run / FILE).read_text(encoding="utf-8").splitlines():
        entry: dict[str, Any] = json.loads(line)
        if entry.get("case") == case:
            return entry
    raise SystemExit(f"{run} has no case {case}")


def _minimised(records: list[dict[str, Any]], same: Any) -> list[dict[str, Any]]:
    """Leave out list items and fields, biggest first, while the findings stay the same."""
    kept = copy.deepcopy(records)
    budget = _BUDGET
    for answer in kept:
        stack: list[Any] = [answer.get("value")]
        while stack and budget > 0:
            here = stack.pop()
            if isinstance(here, list):
                budget -= _halve(here, lambda: same(kept), budget)
                stack += here
            elif isinstance(here, dict):
                for key in sorted(here, key=lambda k: -len(json.dumps(here[k]))):
                    if budget <= 0:
                        break
                    value = here.pop(key)
                    budget -= 1
                    if not same(kept):
                        here[key] = value
                        stack.append(value)
    return kept


def _halve(items: list[Any], same: Any, budget: int) -> int:
    """Remove runs of items from a list in place, long runs first; return the trials used."""
    used, size = 0, len(items)
    while size >= 1 and used < budget:
        start = 0
        while start < len(items) and used < budget:
            cut = items[start : start + size]
            del items[start : start + size]
            used += 1
            if not same():
                items[start:start] = cut
                start += size
        size //= 2
    return used


if __name__ == "__main__":
    sys.exit(main())
