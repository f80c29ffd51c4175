"""A project in small: a map of a few controls, suites of a few lines, recorded evidence.

Used to attack the engine without a cluster: an API server that knows two objects
(the uid of `kube-system` and its version) stands in for one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

from conformance.ledger import FILE

ROOT = Path(__file__).parent.parent
UID = "6b3c0e9e-0000-4000-8000-000000000001"

HEAD = """\
version: 1
source: {title: A status document, updated: 2025-11-07, lines: 358}
platform:
  name: Miniature
  cluster: {kubernetes: "1.28", nodes: 1, cores: 1, memory: 1G, storage: 1G}
  namespaces: [{name: one, role: first, platform: true}, {name: two, role: second, platform: true}]
  workloads: []
  services: []
  autoscalers: []
  credentials: []
  ssd_classes: []
articles: [{ref: A5.1, title: Article, text: high availability, line: 334}]
layers: []
metrics: []
limitations: []
risks: []
contradictions: []
self_checks:
  - {id: H-03, title: the clock is right, why: times, for_each: cluster, status: active}
"""

SELF_CHECK = """\
@pytest.mark.control("H-03")
def test_clock(verdict):
    verdict.expect(True, subject="clock", claim="is right", observed="0 s")
"""


PASSES = 'verdict.expect(True, subject="s", claim="holds", observed="it does")\n'


def control(body: str, name: str = "PLT-NS-001", function: str = "test_it") -> str:
    """Return the test of a control with this body."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f'\n@pytest.mark.control("{name}")\ndef {function}(verdict):\n{lines}'


@dataclass(frozen=True)
class Miniature:
    """The project's folder, and ways to run it.

    Where `recorded` names an earlier run of such a project, its evidence is replayed
    instead of asking the stand-in: that takes half the time.
    """

    folder: Path
    recorded: Path | None = None

    def suite(self, text: str, name: str = "test_it.py") -> None:
        """Write a suite file; `pytest` is imported for it."""
        (self.folder / "suites" / name).write_text("import pytest\n\n" + text)

    def map(self, *controls: dict[str, Any], tail: str = "") -> None:
        """Write the map with these controls; what a control leaves out is filled in."""
        filled = [
            {
                "title": "a state",
                "suite": "platform",
                "severity": "high",
                "levels": ["declared"],
                "classes": ["read-only"],
                "for_each": "cluster",
                "status": "active",
                "refs": ["A5.1"],
                **one,
            }
            for one in controls
        ]
        text = HEAD + "controls: " + json.dumps(filled) + "\n" + tail
        (self.folder / "constitution_map.yaml").write_text(text)

    def audit(
        self,
        *arguments: str,
        run: str = "run",
        environment: dict[str, str] | None = None,
        within: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `conformance audit` on this project, in a folder and with further environment."""
        given = self._audit(run, arguments)
        return self.python(*given, more=environment, within=within)

    def begin_audit(self, *arguments: str, stderr: int) -> subprocess.Popen[bytes]:
        """Start `conformance audit` on this project; its log goes to `stderr`."""
        command = [sys.executable, *self._audit("run", arguments)]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=stderr)

    def _audit(self, run: str, arguments: tuple[str, ...]) -> tuple[str, ...]:
        code = (
            "import sys\nfrom pathlib import Path\n"
            "import conformance.commands.common as common\n"
            f"common.ROOT = Path({str(self.folder)!r})\n"
            f"common.MAP = common.ROOT / 'constitution_map.yaml'\n"
            "import conformance.cli\nraise SystemExit(conformance.cli.main(sys.argv[1:]))\n"
        )
        folder = str(self.folder / run)
        always = ("audit", "--no-allure", "--run-folder", folder, *self.source())
        return ("-P", "-c", code, *always, *arguments)

    def pytest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `pytest suites` on this project."""
        return self.python("-m", "pytest", "suites", *self.source(), *arguments)

    def entries(self, run: str = "run") -> list[dict[str, Any]]:
        """Return the ledger of a run."""
        lines = (self.folder / run / FILE).read_text().splitlines()
        return [json.loads(line) for line in lines]

    def source(self) -> tuple[str, str]:
        if self.recorded:
            return "--replay", str(self.recorded)
        return "--kubeconfig", str(self.folder / "kubeconfig")

    def python(
        self, *arguments: str, more: dict[str, str] | None = None, within: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run Python, in the project's folder and without pytest's environment."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=within or self.folder,
            env=environment | (more or {}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def build(folder: Path, server: ThreadingHTTPServer) -> Miniature:
    """Make a project with one control and one self-check that pass."""
    (folder / "suites").mkdir(parents=True)
    (folder / "kubeconfig").write_text(kubeconfig(server))
    (folder / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    made = Miniature(folder)
    made.map({"id": "PLT-NS-001"})
    made.suite(
        SELF_CHECK
        + '\n@pytest.mark.control("PLT-NS-001")\ndef test_holds(verdict):\n'
        + '    verdict.expect(True, subject="s", claim="holds", observed="it does")\n'
    )
    return made


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: ClassVar[dict[str, Any]] = {
        "/version": {"gitVersion": "v1.34.0"},
        "/api/v1/namespaces/kube-system": {"metadata": {"name": "kube-system", "uid": UID}},
    }

    def do_GET(self) -> None:
        """Answer what is known, and 404 otherwise."""
        found = self.answers.get(self.path.partition("?")[0])
        body = json.dumps(found or {"message": "not found"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve_api(more: dict[str, Any] | None = None) -> ThreadingHTTPServer:
    """Start the stand-in on a free port of the loopback; the caller shuts it down.

    `more` are further answers, by path.
    """
    handler = type("_Api", (_Api,), {"answers": {**_Api.answers, **(more or {})}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


def kubeconfig(server: ThreadingHTTPServer) -> str:
    """Return a kubeconfig that leads to the stand-in."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "miniature",
            "contexts": [{"name": "miniature", "context": {"cluster": "it", "user": "me"}}],
            "clusters": [
                {"name": "it", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
            ],
            "users": [{"name": "me", "user": {}}],
        }
    )
