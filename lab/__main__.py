"""The command `python -m lab`."""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, NoReturn

from lab import cluster, layout, machine, status, steps, supervisor

if TYPE_CHECKING:
    from types import FrameType

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 64, 130

EPILOG = """\
A real Kubernetes (three nodes) with the reference platform, as processes of this machine.
It needs root, Debian 12, Go, and some 20 GiB of disk for the first start; no Docker.

  python -m lab up                       compiles everything once; later it takes a minute
  export KUBECONFIG=$(python -m lab kubeconfig)
  python -m lab break PG-003             violate one control on purpose ...
  python -m lab mend PG-003              ... and put it right again
  python -m lab down                     stop it; its data stays (--purge removes them)

Places: AIK_LAB_CACHE (default ~/.cache/aik-lab) keeps what can be made again,
AIK_LAB_STATE (default /var/lib/aik-lab) keeps the lab itself and its logs.
Exit codes: 0 done, 1 a step failed, 64 wrong usage, 130 interrupted.
"""


class Parser(argparse.ArgumentParser):
    """A parser whose exit code for wrong usage is the documented one."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line and end."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    top = Parser(
        prog="python -m lab",
        description="The lab: the reference platform on one machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="bring everything up; again and again does no harm")
    up.add_argument("--profile", choices=["core"], default="core", help="how much of the platform")
    up.add_argument("--bare", action="store_true", help="the cluster only, without the platform")
    down = commands.add_parser("down", help="stop everything and put the machine back")
    down.add_argument("--purge", action="store_true", help="also remove the lab's data and logs")
    commands.add_parser("status", help="say what runs, what is missing, and where its log is")
    commands.add_parser("prune", help="remove from the cache what the next start does not need")
    watch = commands.add_parser("watch", help="restart what ended unasked (`up` starts this)")
    watch.add_argument("state", help="the lab's state directory, to tell labs apart in `ps`")
    config = commands.add_parser("kubeconfig", help="print the path of the kubeconfig")
    config.add_argument(
        "--merge", action="store_true", help="also add it to ~/.kube/config as context aik-lab"
    )
    load = commands.add_parser("load", help="make an image again and import it into the nodes")
    load.add_argument("image", nargs="+", help="a directory name in lab/images")
    for name, text in (("break", "violate a control on purpose"), ("mend", "undo a break")):
        one = commands.add_parser(name, help=text)
        one.add_argument("id", nargs="?" if name == "mend" else None, help="a control, e.g. PG-003")
        if name == "mend":
            one.add_argument("--all", action="store_true", help="mend whatever is broken")
    deploy = commands.add_parser("deploy", help="put the reference platform onto any Kubernetes")
    deploy.add_argument("--context", required=True, help="a context of your kubeconfig")
    return top


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks and return the exit code."""
    if arguments.command == "up":
        cluster.up(_nothing if arguments.bare else _deploy)
        steps.say(f"the lab is up; export KUBECONFIG={layout.kubeconfig()}")
    elif arguments.command == "down":
        cluster.down(purge=arguments.purge)
    elif arguments.command == "status":
        lines, well = status.report()
        print("\n".join(lines))
        return OK if well else FAILED
    elif arguments.command == "watch":
        from lab import watching

        watching.watch()
    elif arguments.command == "prune":
        cluster.prune()
    elif arguments.command == "load":
        from lab import loading

        loading.load(arguments.image)
    elif arguments.command == "kubeconfig":
        print(status.kubeconfig())
        if arguments.merge:
            steps.say(f"added context {layout.CONTEXT} to {status.merge_kubeconfig()}")
    else:
        _change_platform(arguments)
    return OK


def _nothing() -> None:
    """Leave the cluster empty."""


def _deploy() -> None:
    from lab import deploying

    deploying.apply(layout.kubeconfig())


def _change_platform(arguments: argparse.Namespace) -> None:
    from lab import breaking, deploying

    if arguments.command == "deploy":
        deploying.deploy(arguments.context)
    elif arguments.command == "break":
        breaking.break_control(arguments.id)
    elif arguments.all:
        breaking.mend_all()
    else:
        breaking.mend_control(arguments.id)


def main() -> int:
    """Run the command and turn failures into text and exit codes."""
    arguments = parser().parse_args()
    if arguments.command == "mend" and bool(arguments.id) == arguments.all:
        parser().error("mend needs either a control's id or --all")
    signal.signal(signal.SIGTERM, _interrupt)
    changes = arguments.command in {"up", "down", "prune", "load"}
    try:
        if changes:
            machine.require_root()
        with supervisor.alone() if changes else nullcontext():
            return run(arguments)
    except steps.StepError as error:
        print(steps.failure(error), file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted; the same command resumes where this one stopped", file=sys.stderr)
        return INTERRUPTED


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
