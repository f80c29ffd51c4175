"""What the `conformance` command can do, one module a command."""
