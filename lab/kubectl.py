"""kubectl, aimed at one cluster."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab import layout, steps

if TYPE_CHECKING:
    from pathlib import Path

WITHIN = 120.0


@dataclass(frozen=True)
class Kubectl:
    """A kubectl with the options that choose its cluster."""

    cluster: tuple[str, ...]

    @classmethod
    def of_lab(cls, kubeconfig: Path) -> Kubectl:
        """Return the kubectl of the lab's administrator."""
        return cls(("--kubeconfig", str(kubeconfig)))

    @classmethod
    def of_context(cls, context: str) -> Kubectl:
        """Return a kubectl for a context of the user's own kubeconfig."""
        return cls(("--context", context))

    def attempt(
        self, *arguments: str, stdin: str | None = None, within: float = WITHIN
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, at most `within` seconds; the caller looks at how it ended."""
        command = [_program(), *self.cluster, *arguments]
        try:
            return subprocess.run(
                command,
                input=stdin or "",
                capture_output=True,
                text=True,
                check=False,
                timeout=within,
            )
        except subprocess.TimeoutExpired:
            late = f"no answer within {within:.0f} s"
            return subprocess.CompletedProcess(command, 124, "", late)

    def run(self, *arguments: str, stdin: str | None = None, within: float = WITHIN) -> str:
        """Return what a command prints; raise StepError with its complaint when it fails."""
        done = self.attempt(*arguments, stdin=stdin, within=within)
        if done.returncode != 0:
            complaint = done.stderr.strip() or f"code {done.returncode}"
            raise steps.StepError(f"`kubectl {' '.join(arguments)}`: {complaint}")
        return done.stdout

    def read(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON is what it is
        """Return the JSON that a `get` prints; raise StepError when it fails."""
        return json.loads(self.run(*arguments, "-o", "json"))


def _program() -> str:
    """Return the lab's own kubectl, or the one on PATH where there is no lab."""
    own = layout.binary("kubectl")
    found = str(own) if own.exists() else shutil.which("kubectl")
    if not found:
        raise steps.StepError("there is no kubectl: install one, or build the lab's by `lab up`")
    return found
