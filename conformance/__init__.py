"""Plain Python: the map, evidence, views, verdicts. No pytest, no network, no clock."""

__version__ = "0.1.0"
