"""A `Reach` for attacks: to one server of the loopback, with a token and short limits."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.live.reach import Reach
from conformance.platform import Credential, Platform, Sizing
from conformance.waiting import LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "canary-Token+of/the=API"
LOGIN = Credential("login", {"user": "user", "password": "password"}, secret="n/login")
PLATFORM = Platform("Hostile", Sizing("1.28", 1, 1, "1G", "1G"), (), (), (), (), (LOGIN,), ())
SHORT = replace(LIMITS, connect=0.8, probe=1.2, listing=1.5)
ROOMY = replace(LIMITS, connect=4.0, probe=6.0, listing=8.0)  # for what must not run into them


def reach_to(folder: Path, url: str, ca: Path | None = None) -> Reach:
    """Return a reach to the API at `url`; TLS is verified by `ca`."""
    trust = {"certificate-authority": str(ca)} if ca else {}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
        "clusters": [{"name": "it", "cluster": {"server": url, **trust}}],
        "users": [{"name": "me", "user": {"token": TOKEN}}],
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config))
    return Reach(PLATFORM, str(file), None, None, "run", frozenset({"read-only"}))


@contextmanager
def short_limits(limits: Limits = SHORT) -> Iterator[None]:
    """Make every limit short for the length of the block, wherever it was imported."""
    usual = dict(vars(LIMITS))
    try:
        for name, value in vars(limits).items():
            object.__setattr__(LIMITS, name, value)
        yield
    finally:
        for name, value in usual.items():
            object.__setattr__(LIMITS, name, value)
