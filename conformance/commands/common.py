"""What the commands share: options, exit by one sentence, the map."""

from __future__ import annotations

import json
import os
import sys
import tarfile
import tempfile
import zlib
from contextlib import contextmanager
from datetime import UTC, datetime
from lzma import LZMAError
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from conformance.constitution import Constitution, load_constitution
from conformance.judgement import USAGE
from conformance.schema import Malformed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_PROJECT = Path(__file__).parent.parent / "project"  # where a wheel has map and suites
ROOT = _PROJECT if _PROJECT.is_dir() else Path(__file__).parent.parent.parent
MAP = ROOT / "constitution_map.yaml"


def say(text: str) -> None:
    """Write a line to the log (stderr); a log that nobody reads any more stops nothing."""
    write(sys.stderr, text + "\n")


def write(stream: TextIO | None, text: str) -> OSError | None:
    """Write all of `text`. What cannot be written is dropped, and the error returned."""
    if stream is None:  # it was closed before we started
        return None
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
        return error
    return None


def refuse(sentence: str, code: int = USAGE) -> NoReturn:
    """End with one sentence that says what is wrong and what to do."""
    say(f"conformance: {sentence}")
    raise SystemExit(code)


def print_json(value: object) -> None:
    """Write a result for machines to stdout."""
    print(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True))


def add_map_options(parser: argparse.ArgumentParser) -> None:
    """Add `--map` and `--platform`."""
    parser.add_argument("--map", type=Path, default=MAP, help="the constitution map (%(default)s)")
    parser.add_argument(
        "--platform",
        type=Path,
        help="a file that declares another cluster's parts, instead of the map's own section",
    )


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Add `--kubeconfig`, `--context` and `--route`."""
    parser.add_argument(
        "--kubeconfig", help="kubeconfig file (KUBECONFIG, ~/.kube/config, in-cluster)"
    )
    parser.add_argument("--context", help="kubeconfig context (default: the current one)")
    parser.add_argument(
        "--route", choices=("auto", "pod-network", "port-forward"), help="how pods are reached"
    )


@contextmanager
def unpacked(run: Path) -> Iterator[Path]:
    """Yield the folder of a run that is kept as a folder or as a `.tar.xz` of one."""
    if run.is_dir():
        yield run
        return
    with tempfile.TemporaryDirectory(prefix="conformance-") as place:
        try:
            with tarfile.open(run) as archive:
                archive.extractall(place, filter="data")
        except (OSError, EOFError, tarfile.TarError, LZMAError, zlib.error) as error:
            reason = str(error).partition("\n")[0]
            refuse(f"{run} is neither the folder of a run nor a whole archive of one: {reason}")
        found = [one.parent for one in Path(place).rglob("ledger.jsonl")]
        if len(found) != 1:
            refuse(f"{run} does not hold exactly one run")
        yield found[0]


def constitution_of(options: argparse.Namespace) -> Constitution:
    """Load the map that the options name, or end with what is wrong with it."""
    try:
        return load_constitution(options.map, options.platform, datetime.now(UTC).date())
    except Malformed as error:
        refuse(str(error))
