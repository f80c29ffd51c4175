"""What `pip install .` installs works without the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

from conformance.judgement import CONFORMANT
from conformance.ledger import read
from tests.miniature import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_an_installed_suite_audits(tmp_path: Path) -> None:
    build = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    made = _python(ROOT, "-c", build, str(tmp_path))
    assert made.returncode == 0, made.stderr
    site = tmp_path / "site"
    with zipfile.ZipFile(tmp_path / made.stdout.split()[-1]) as wheel:
        wheel.extractall(site)
    stand = tmp_path / "stand"
    stand.mkdir()
    (stand / "mine.yaml").write_bytes((ROOT / "lab" / "platform.yaml").read_bytes())
    audit = ("-P", "-m", "conformance.cli", "audit", "--no-allure")
    example = ROOT / "docs" / "example-run.tar.xz"
    done = _python(stand, *audit, "--platform", "mine.yaml", "--replay", str(example), site=site)
    assert "H-03" in done.stderr, done.stderr
    (run,) = (stand / "runs").iterdir()
    opened, cases, _ = read(run)
    assert opened["whole"]
    assert {one["case"] for one in cases} == set(opened["expected"])
    assert _python(stand, *audit[:3], "verify", str(run), site=site).returncode == CONFORMANT


def _python(
    within: Path, *arguments: str, site: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) | ({"PYTHONPATH": str(site)} if site else {})
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=within,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
