"""Violate one control on purpose, and put it right again: `lab break ID`, `lab mend ID`.

One break at a time. A break is recorded in the lab's state *before* its first step, so that a
half-made one is known and `lab mend --all` can repair it.
"""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from lab import breakfile, deploying, layout, steps
from lab.kubectl import Kubectl
from lab.settling import settle

if TYPE_CHECKING:
    import re
    from pathlib import Path

    from lab.breakfile import Break, Step

EVERY = 1.0
STEADY_SECONDS = 15.0  # longer than a period of the readiness probes
REPAIR = "`python -m lab mend --all` repairs the platform"


@dataclass
class Active:
    """The break that is in force, as recorded; `variables` are what its steps saved."""

    control: str
    since: str
    whole: bool = False
    variables: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def file() -> Path:
        """Return where the record is kept."""
        return layout.state() / "broken.json"

    @classmethod
    def read(cls) -> Active | None:
        """Return the break in force, or None."""
        try:
            return cls(**json.loads(cls.file().read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise steps.StepError(f"{cls.file()} is damaged ({error}); {REPAIR}") from error

    def write(self) -> None:
        """Record it; the file is replaced as a whole."""
        part = self.file().with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=1) + "\n")
        part.replace(self.file())


def break_control(control: str) -> None:
    """Break a control; StepError when another break is in force or a step fails."""
    broken = breakfile.load(control)
    active = Active.read()
    if active:
        other = f"{active.control} is broken since {active.since}"
        raise steps.StepError(f"{other}: `python -m lab mend {active.control}` comes first")
    kubectl = _lab()
    active = Active(control, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    active.write()
    steps.say(f"break {control}: {broken.breaks}")
    try:
        for number, step in enumerate(broken.steps, 1):
            _take(kubectl, step, f"break {control}, step {number}/{len(broken.steps)}", active)
    except BaseException:
        steps.say(f"break {control} stopped half-way; {REPAIR}")
        raise
    active.whole = True
    active.write()
    steps.say(f"break {control}: in force; `python -m lab mend {control}` undoes it")


def mend_control(control: str) -> None:
    """Undo a break and wait until the platform is at rest; without such a break, do nothing."""
    broken = breakfile.load(control)
    active = Active.read()
    if active is None:
        steps.say(f"mend {control}: nothing is broken")
        return
    if active.control != control:
        raise steps.StepError(f"not {control} but {active.control} is broken: mend that")
    kubectl = _lab()
    for number, step in enumerate(broken.mend, 1):
        _take(kubectl, step, f"mend {control}, step {number}/{len(broken.mend)}", active)
    _rest(kubectl, broken)
    Active.file().unlink()


def mend_all() -> None:
    """Repair the platform whatever happened to it.

    Every mending step of the recorded break is tried, failed or not; then the
    platform's own objects are applied again; then it must come to rest.
    """
    kubectl = _lab()
    broken: Break | None = None
    try:
        active = Active.read()
        if active:
            broken = breakfile.load(active.control)
            _mend_what_can_be(kubectl, broken, active)
    except steps.StepError as error:
        steps.say(f"mend: the record does not help ({error}); going on without it")
    deploying.apply(layout.kubeconfig())
    _rest(kubectl, broken)
    Active.file().unlink(missing_ok=True)


def _mend_what_can_be(kubectl: Kubectl, broken: Break, active: Active) -> None:
    for number, step in enumerate(broken.mend, 1):
        try:
            _take(kubectl, step, f"mend {broken.control}, step {number}/{len(broken.mend)}", active)
        except steps.StepError as error:
            steps.say(f"  goes on after: {error}")


def _lab() -> Kubectl:
    """Return the lab's kubectl: a break never touches another cluster."""
    if not layout.kubeconfig().exists():
        raise steps.StepError("there is no lab to break or mend: start it by `python -m lab up`")
    return Kubectl.of_lab(layout.kubeconfig())


def _rest(kubectl: Kubectl, broken: Break | None) -> None:
    steady = STEADY_SECONDS if broken is None or broken.needs_settle else 0.0
    with steps.step("mend: waiting until the platform is as before"):
        settle(kubectl, steady=steady)


def _take(kubectl: Kubectl, step: Step, name: str, active: Active) -> None:
    """Take one step; raise StepError naming it and its line when it fails."""
    words = [filled(word, active.variables) for word in step.words]
    stdin = None if step.stdin is None else filled(step.stdin, active.variables)
    command = f"kubectl {shlex.join(words)}"
    steps.say(f"{name}: {command}")
    end = time.monotonic() + step.within
    while True:
        done = kubectl.attempt(*words, stdin=stdin)
        why = complaint(step, done.returncode, done.stdout, done.stderr)
        if not why:
            break
        if not step.until or time.monotonic() > end:
            late = f" within {step.within:.0f} s" if step.until else ""
            raise steps.StepError(f"{name} (line {step.line}): `{command}` failed{late}: {why}")
        time.sleep(EVERY)
    if step.save:
        active.variables[step.save] = done.stdout.strip()
        active.write()


def filled(text: str, variables: dict[str, str]) -> str:
    """Return a text with `{{name}}` replaced; a name that was never saved is a StepError."""

    def value(match: re.Match[str]) -> str:
        try:
            return variables[match[1]]
        except KeyError:
            raise steps.StepError(f"{match[0]} was not saved: the break stopped earlier") from None

    return breakfile.VARIABLE.sub(value, text)


def complaint(step: Step, code: int, stdout: str, stderr: str) -> str:
    """Return why an outcome is not what the step wants, or nothing."""
    said = stdout.strip()
    if code != 0:
        return stderr.strip() or f"code {code}"
    if step.expect is not None and said != step.expect.strip():
        return f"{said!r} is not {step.expect.strip()!r}"
    if step.contains is not None and step.contains not in said:
        return f"{said!r} does not contain {step.contains!r}"
    if step.save and not said:
        return "it printed nothing to save"
    return ""
