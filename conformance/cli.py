"""The `conformance` command: results on stdout, the log on stderr, verdicts as exit codes."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import traceback
from contextlib import redirect_stdout
from io import StringIO, TextIOWrapper

from conformance import __version__
from conformance.commands.common import say, write
from conformance.judgement import NOT_WHOLE, USAGE

COMMANDS = {
    "audit": "look at a cluster, judge it, write the report",
    "verify": "check that the record of a run is whole and unchanged",
    "diff": "say which verdicts changed between two runs",
    "explain": "say what a control requires, how it decides, and what to do when it fails",
    "coverage": "list articles, metrics and controls, and what is built and proven of them",
    "rbac": "print the roles that the chosen controls need, and nothing more",
    "preflight": "say before a run which cases the present rights will leave undecided",
}
CODES = """\
exit codes:
  0  conformant: everything demanded was looked at and holds
  1  violated: at least one control is contradicted
  2  the suite is not whole: a case is missing, or its record is broken
  3  undecided: nothing is contradicted, and something could not be decided
 64  usage or configuration: nothing was looked at

start here:
  conformance audit --help
  conformance explain PG-003
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # it never returns
        say(f"{self.prog}: {message}; see {self.prog} --help")
        raise SystemExit(USAGE)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parser = _Parser(
        prog="conformance",
        description="Audits a running AI Kernel cluster, article by article.",
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    given = sys.argv[1:] if arguments is None else arguments
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name in given:  # the others need not be loaded
            module = importlib.import_module(f"conformance.commands.{name}")
            command.description = module.__doc__
            command.epilog = getattr(module, "EPILOG", None)
            module.add_options(command)
            command.set_defaults(run=module.run)
    return _run(parser.parse_args(given))


def _run(options: argparse.Namespace) -> int:
    """Run the command; write its result at once, so that its exit code is its own."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a pod that must go: as Ctrl-C
    result = StringIO()
    try:
        with redirect_stdout(result):
            code: int = options.run(options)
    except KeyboardInterrupt:
        say("conformance: interrupted; what was begun is recorded as incomplete")
        return NOT_WHOLE
    except Exception:  # noqa: BLE001 - a suite that breaks has decided nothing: never exit 1
        say(traceback.format_exc())
        say("conformance: the suite itself broke; nothing above is a verdict")
        return NOT_WHOLE
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal knows every letter
    lost = write(sys.stdout, result.getvalue())
    if lost and not isinstance(lost, BrokenPipeError):  # whoever pipes into head has seen enough
        say(f"conformance: the result could not be written: {lost.strerror}")
        return code or NOT_WHOLE
    return code


if __name__ == "__main__":
    raise SystemExit(main())
