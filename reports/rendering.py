"""`allure.html`: Allure's own renderer, run once, and its page made to load nothing from outside.

The renderer is the pinned Allure 3 of package.json. Its page carries two
analytics scripts: they are taken out, every script that stays is named by its
digest in a Content-Security-Policy, and that policy forbids all else.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

_HERE = Path(__file__).parent
_ALLURE = _HERE.parent / "node_modules" / "allure" / "cli.js"
_SCRIPT = re.compile(r"<script(?P<attributes>[^>]*)>(?P<body>.*?)</script>", re.DOTALL)
_INLINED = re.compile(r'src="data:text/javascript;base64,(?P<code>[A-Za-z0-9+/=]*)"')
_TRACKERS = ("googletagmanager", "window.dataLayer")
_HEAD = '<meta charset="utf-8">'
_LIMIT = 60  # seconds
_REST = "every other report is complete"
_HOW = (
    "allure.html was not made: install Node.js 20 or newer, run `npm ci --ignore-scripts` beside "
    "package.json, then `conformance audit --replay {run}`; " + _REST
)


class RenderError(Exception):
    """There is no `allure.html`; the message is one sentence that says why and what to do."""


def render(results: Path, target: Path, ended_at: int) -> None:
    """Render `results` into the one file `target`; `ended_at` (ms) is the page's only time.

    Takes a second or two.

    Raises:
        RenderError: where Node.js or Allure is missing, or Allure fails.
    """
    node = shutil.which("node")
    if node is None or not _ALLURE.exists():
        raise RenderError(_HOW.format(run=results.parent.parent))
    with tempfile.TemporaryDirectory(prefix="conformance-allure-") as place:
        _run(node, results.resolve(), Path(place), ended_at)
        page = (Path(place) / "out" / "index.html").read_text(encoding="utf-8")
    target.write_text(hardened(page), encoding="utf-8")


def _run(node: str, results: Path, place: Path, ended_at: int) -> None:
    command = [
        node,
        "--import",
        (_HERE / "steady.mjs").as_uri(),
        str(_ALLURE),
        "generate",
        str(results),
        "--config",
        str(_HERE / "allurerc.json"),
        "--cwd",
        str(place),
        "--output",
        "out",
    ]
    environment = {
        "PATH": os.defpath,
        "HOME": str(place),
        "TZ": "UTC",
        "ALLURE_NO_ANALYTICS": "true",
        "STEADY_NOW": str(ended_at),
        "UV_THREADPOOL_SIZE": "1",
    }
    try:
        done = subprocess.run(  # noqa: S603 - our own renderer and arguments
            command,
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT,
            check=False,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RenderError(f"allure.html was not made: {error}; {_REST}") from error
    if done.returncode or not (place / "out" / "index.html").exists():
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise RenderError(
            f"allure.html was not made: Allure ended with {done.returncode}: {last[0]}; "
            f"run `npm ci --ignore-scripts` and try again; {_REST}"
        )


def hardened(page: str) -> str:
    """Return the page without analytics and with a policy under which nothing is fetched.

    Raises:
        RenderError: where a script would still be loaded from somewhere.
    """
    page = _SCRIPT.sub(_kept, page)
    if _HEAD not in page:
        raise RenderError("allure.html was not made: this Allure's page has no place for a policy")
    scripts = [one["body"] for one in _SCRIPT.finditer(page)]
    allowed = " ".join(f"'sha256-{_hash(one)}'" for one in scripts)
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; media-src data: blob:; frame-src blob:; "
        "connect-src data: blob:; form-action 'none'"
    )
    meta = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="referrer" content="no-referrer">'
    )
    return page.replace(_HEAD, _HEAD + meta, 1)


def _kept(script: re.Match[str]) -> str:
    attributes, body = script["attributes"], script["body"]
    if any(one in attributes + body[:300] for one in _TRACKERS):
        return ""
    inlined = _INLINED.search(attributes)
    if inlined:
        code = b64decode(inlined["code"]).decode().replace("</script", "<\\/script")
        return f"<script>{code}</script>"
    if "src=" in attributes:
        raise RenderError("allure.html was not made: this Allure loads a script from elsewhere")
    return script[0]


def _hash(script: str) -> str:
    return b64encode(sha256(script.encode()).digest()).decode()
