"""Compare an audit of the lab with what the lab is known to lack: `python -m lab.gaps RUN.JSON`.

The reference platform is green but for the cases listed in `gaps.yaml`, each with
its outcome and reason. Exit 0 where the audit found exactly those, 1 otherwise.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from lab.steps import say

FILE = Path(__file__).parent / "gaps.yaml"


def compare(run: dict[str, Any], gaps: dict[str, dict[str, str]]) -> list[str]:
    """Return a sentence for each case that is not as listed; none where all is as known."""
    red = {one["case"]: one for one in run["cases"] if one["gates"]}
    sentences = list(run["problems"])
    for case, one in red.items():
        if case not in gaps:
            sentences.append(f"{case} is {one['outcome']}, and no known gap: {one['reason']}")
        elif gaps[case]["outcome"] != one["outcome"]:
            sentences.append(f"{case} is {one['outcome']}, not {gaps[case]['outcome']} as known")
    gone = [case for case in gaps if case not in red]
    return sentences + [f"{one} is a known gap, and is none: remove it here" for one in gone]


def main(path: str) -> int:
    """Print what differs."""
    try:
        run = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        say(f"{path} is no run.json: {error}")
        return 1
    gaps = yaml.safe_load(FILE.read_text(encoding="utf-8")) or {}
    sentences = compare(run, gaps)
    for one in sentences:
        say(one)
    if not sentences:
        say(f"the lab is as it should be: nothing is red but its {len(gaps)} known gaps")
    return 1 if sentences else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:2]) if len(sys.argv) > 1 else 64)
