"""Write the generated tables into the README: `make table`."""

from __future__ import annotations

import re

from conformance.commands.coverage import table
from tests.replaying import LAB, ROOT, constitution_with


def main() -> None:
    """Replace what stands between the marks."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    fresh = f"<!-- coverage -->\n{table(constitution_with(LAB))}\n<!-- end -->"
    readme.write_text(
        re.sub(r"<!-- coverage -->\n.*?<!-- end -->", lambda _: fresh, text, flags=re.DOTALL),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
