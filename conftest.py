"""Which fixture plugins exist."""

pytest_plugins = (
    "fixtures.platform",
    "fixtures.evidence",
    "fixtures.verdict",
    "fixtures.safety",
    "fixtures.sweep",
)
