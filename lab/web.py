"""Ask a local endpoint whether it is well."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 2.0


def answers(url: str, authority: Path | None = None) -> bool:
    """Tell whether a health endpoint answers 200; https is verified against `authority`."""
    context = None
    if authority:
        context = ssl.create_default_context(cafile=str(authority))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(url, timeout=SECONDS) as response:
            return bool(response.status == 200)  # noqa: PLR2004 - HTTP's own number
    except (OSError, urllib.error.URLError):
        return False
