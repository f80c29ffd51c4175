"""Pure functions from a judged run to its reports."""

from reports.publishing import publish
from reports.summary import summary

__all__ = ["publish", "summary"]
