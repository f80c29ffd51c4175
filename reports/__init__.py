"""Pure functions from a judged run to its reports."""
