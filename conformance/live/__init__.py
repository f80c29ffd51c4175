"""The only code that reaches out. Returns JSON, raises `LookError`, decides nothing."""
