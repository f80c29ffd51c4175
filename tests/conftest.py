"""What several tests start from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.miniature import Miniature, build, serve_api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import ThreadingHTTPServer
    from pathlib import Path


@pytest.fixture(scope="session")
def api() -> Iterator[ThreadingHTTPServer]:
    server = serve_api()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory, api: ThreadingHTTPServer) -> Path:
    first = build(tmp_path_factory.mktemp("recorded") / "project", api)
    first.audit()
    return first.folder / "run"


@pytest.fixture
def project(tmp_path: Path, api: ThreadingHTTPServer, recorded: Path) -> Miniature:
    return replace(build(tmp_path / "project", api), recorded=recorded)
