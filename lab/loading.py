"""Put images into the nodes' containerds."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lab import images, layout, steps
from lab.files import write

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def load(names: Iterable[str]) -> None:
    """Make the images of these directories and import them into every node that lacks them."""
    for name in names:
        image = images.read(images.DIRECTORY / name)
        made_of = images.layers(image)
        digest = images.identity(image, made_of)
        lacking = [node for node in layout.NODES if _loaded(node).get(image.name) != digest]
        if lacking:
            with steps.step(f"load {image.name} into {len(lacking)} nodes", _log()):
                _import_all(lacking, image, made_of)
            for node in lacking:
                _note(node, image.name, digest)


def _import_all(nodes: list[layout.Node], image: images.Image, made_of: list[images.Layer]) -> None:
    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(lambda node: _import(node, image, made_of), nodes))


def identity(name: str) -> str:
    """Return the digest of the image of a directory, which changes with its content."""
    image = images.read(images.DIRECTORY / name)
    return images.identity(image, images.layers(image))


def _import(node: layout.Node, image: images.Image, made_of: list[images.Layer]) -> None:
    command = ["ctr", "--address", node.socket, "-n", "k8s.io", "images", "import", "-"]
    with _log().open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdin  # noqa: S101 - PIPE was asked for
        try:
            for piece in images.archive(image, made_of):
                process.stdin.write(piece)
            process.stdin.close()
        except BrokenPipeError:
            pass  # its exit code and log say why
        if process.wait() != 0:
            raise steps.StepError(f"{node.name} did not take the image {image.name}", _log())


def _loaded(node: layout.Node) -> dict[str, str]:
    """Return which images a node has, by name, and the identity of each."""
    try:
        return dict(json.loads(_notes(node).read_text()))
    except (OSError, ValueError):
        return {}


def _note(node: layout.Node, name: str, digest: str) -> None:
    write(_notes(node), json.dumps({**_loaded(node), name: digest}, indent=1))


def _notes(node: layout.Node) -> Path:
    """Return the note file, which lives and dies with the node's images."""
    return node.home / "containerd" / "aik-lab-images.json"


def _log() -> Path:
    return layout.logs() / "images.log"
