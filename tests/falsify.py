"""Prove controls in the lab: green, red under the break, green when mended, undecided when denied.

`python -m tests.falsify [CONTROL...]` (default: every active control that has a
break). For each control: decide it, `lab break`, decide it, `lab mend`, decide
it, and decide it once more as somebody who may read nothing. `--worlds` also
records the worlds `reference`, `broken` and `denied` from what was seen;
`--write` keeps the table as docs/kill-table.md. A break is given back even when
this is interrupted. Exit 0 where every control is proven, 1 where one is not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from conformance import inventory
from conformance.constitution import Control, Danger, Status
from conformance.ledger import FILE
from lab.kubectl import Kubectl
from tests.replaying import LAB, ROOT, constitution_with

TABLE = ROOT / "docs" / "kill-table.md"
STAGES = ("before", "broken", "mended", "denied")
_ACCOUNT = "aik-conformance-denied"


@dataclass
class Proof:
    """What one control said at each stage; `also` are other cases that the break turned red."""

    control: Control
    outcomes: dict[str, str] = field(default_factory=dict)
    runs: dict[str, Path] = field(default_factory=dict)
    cases: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    seconds: float = 0.0
    problem: str = ""

    @property
    def proven(self) -> bool:
        """Say whether all four stages were as they must be."""
        unbroken = {"passed"}
        if Danger.DISRUPTIVE in self.control.classes:
            unbroken.add("not measured")  # its other half takes a class that is not allowed here
        wanted = {"before": unbroken, "broken": {"failed"}, "mended": unbroken}
        wanted["denied"] = {"inconclusive"}
        return not self.problem and all(
            self.outcomes.get(stage) in outcomes for stage, outcomes in wanted.items()
        )


class Lab:
    """The lab, driven by its command line like any operator would."""

    def __init__(self) -> None:
        """Find its kubeconfig."""
        self.kubeconfig = _run(sys.executable, "-m", "lab", "kubeconfig").strip().splitlines()[-1]

    def decide(self, control: Control, stage: str, kubeconfig: str | None = None) -> Path:
        """Run the control alone; return the folder of the run."""
        folder = ROOT / "runs" / f"falsify-{control.id}-{stage}-{time.time_ns()}"
        test = inventory.tests(ROOT)[control.id]
        command = [
            sys.executable, "-m", "pytest", test.file, "-q", "-k", control.id,
            "--platform", str(LAB), "--kubeconfig", kubeconfig or self.kubeconfig,
            "--run-folder", str(folder),
        ]  # fmt: skip
        if Danger.CANARY in control.classes:
            command.append("--allow-canaries")
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if not (folder / FILE).exists():
            raise RuntimeError(f"{control.id} was not decided:\n{done.stdout}{done.stderr}")
        return folder

    def change(self, verb: str, control: str) -> None:
        """Break or mend."""
        _run(sys.executable, "-m", "lab", verb, control)

    def powerless(self, folder: Path) -> str:
        """Return a kubeconfig of an account that may do nothing."""
        kubectl = Kubectl.of_lab(Path(self.kubeconfig))
        kubectl.attempt("create", "serviceaccount", _ACCOUNT, "-n", "default")
        token = kubectl.run("create", "token", _ACCOUNT, "-n", "default", "--duration", "4h")
        view = kubectl.read("config", "view", "--raw", "--flatten")
        for one in view["users"]:
            one["user"] = {"token": token.strip()}
        path = folder / "powerless.json"
        path.write_text(json.dumps(view))
        return str(path)


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}"
        )
    return done.stdout


def prove(control: Control, lab: Lab, powerless: str) -> Proof:
    """Take one control through the four stages."""
    proof = Proof(control)
    start = time.monotonic()
    broken = False
    try:
        _stage(proof, "before", lab.decide(control, "before"))
        broken = True
        lab.change("break", control.id)
        _stage(proof, "broken", lab.decide(control, "broken"))
        lab.change("mend", control.id)
        broken = False
        _stage(proof, "mended", lab.decide(control, "mended"))
        _stage(proof, "denied", lab.decide(control, "denied", powerless))
    except RuntimeError as error:
        proof.problem = str(error)
    finally:
        if broken:
            subprocess.run([sys.executable, "-m", "lab", "mend", "--all"], cwd=ROOT, check=False)
    proof.seconds = time.monotonic() - start
    return proof


def _stage(proof: Proof, stage: str, run: Path) -> None:
    entries = [json.loads(line) for line in (run / FILE).read_text().splitlines()]
    cases = [one for one in entries if one.get("control") == proof.control.id]
    proof.runs[stage], proof.cases[stage] = run, cases
    proof.outcomes[stage] = _together({one["outcome"] for one in cases})
    say(f"  {stage:<7} {proof.outcomes[stage]}")


def _together(outcomes: set[str]) -> str:
    """Return the worst outcome of the cases that apply; parts that are absent do not count."""
    real = outcomes - {"not applicable"}
    for one in ("failed", "inconclusive", "passed", "not measured"):
        if one in real:
            return one
    return "not applicable"


def record_worlds(proof: Proof) -> None:
    """Keep what was seen as worlds, from the case that the break turned red."""
    red = next(one["case"] for one in proof.cases["broken"] if one["outcome"] == "failed")
    for stage, name in (("before", "reference"), ("broken", "broken")):
        run = str(proof.runs[stage])
        _run(sys.executable, "-m", "tests.worlds", "record", run, red, name)
    _run(sys.executable, "-m", "tests.worlds", "deny", str(proof.runs["before"]), red)


def table(proofs: list[Proof], day: date) -> str:
    """Return the kill table in Markdown."""
    lines = [
        "# Kill table",
        "",
        "Written by `make falsify`: every control in the lab, before its break, under it,",
        f"after mending, and denied. Last written {day}.",
        "",
        "| control | before | broken | mended | denied | seconds | proven |",
        "|---|---|---|---|---|---:|---|",
    ]
    for one in proofs:
        stages = " | ".join(one.outcomes.get(stage, "-") for stage in STAGES)
        proven = "yes" if one.proven else "no"
        lines.append(f"| {one.control.id} | {stages} | {one.seconds:.0f} | {proven} |")
    return "\n".join(lines) + "\n"


def say(text: str) -> None:
    """Write progress."""
    print(text, flush=True)  # noqa: T201 - its product


def main() -> int:
    """Prove the chosen controls; print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.falsify",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("controls", nargs="*", metavar="CONTROL")
    parser.add_argument("--worlds", action="store_true", help="record worlds from what was seen")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.relative_to(ROOT)}")
    options = parser.parse_args()
    constitution = constitution_with(LAB)
    chosen = [
        one
        for one in constitution.controls
        if one.status is Status.ACTIVE
        and (one.id in options.controls or not options.controls)
        and inventory.break_file(ROOT, one.id)
    ]
    if lost := set(options.controls) - {one.id for one in chosen}:
        parser.error(f"not active, or without a break: {', '.join(sorted(lost))}")
    lab = Lab()
    proofs: list[Proof] = []
    with tempfile.TemporaryDirectory() as place:
        powerless = lab.powerless(Path(place))
        for number, control in enumerate(chosen, 1):
            say(f"[{number}/{len(chosen)}] {control.id} {control.title}")
            proofs.append(prove(control, lab, powerless))
            if proofs[-1].problem:
                say(f"  {proofs[-1].problem}")
            elif options.worlds and proofs[-1].outcomes["broken"] == "failed":
                record_worlds(proofs[-1])
    text = table(proofs, datetime.now(UTC).date())
    say(text)
    if options.write:
        TABLE.write_text(text, encoding="utf-8")
    failed = [one.control.id for one in proofs if not one.proven]
    say(f"{len(proofs) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
