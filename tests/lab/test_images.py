"""Image descriptions are read strictly, and archives are laid out as container runtimes expect."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from lab import images, steps

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
name: docker.io/library/thing:1.0
files: rootfs/
entrypoint: [/thing]
env: {MODE: quiet}
user: "999:999"
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an image directory, with a cache of its own."""
    monkeypatch.setenv("AIK_LAB_CACHE", str(tmp_path / "cache"))
    made = tmp_path / "images" / "thing"
    (made / "rootfs" / "etc").mkdir(parents=True)
    (made / "rootfs" / "etc" / "thing.conf").write_text("loud = no\n")
    (made / "image.yaml").write_text(GOOD)
    return made


def entries(directory: Path) -> dict[str, bytes]:
    """Return the files of the archive of an image directory."""
    image = images.read(directory)
    text = b"".join(images.archive(image, images.layers(image)))
    with tarfile.open(fileobj=io.BytesIO(text)) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]


def test_an_archive_names_its_config_and_layers_by_digest(directory: Path) -> None:
    found = entries(directory)
    [manifest] = json.loads(found["manifest.json"])
    config = found[manifest["Config"]]
    assert manifest["RepoTags"] == ["docker.io/library/thing:1.0"]
    assert manifest["Config"] == hashlib.sha256(config).hexdigest() + ".json"
    digests = [hashlib.sha256(found[name]).hexdigest() for name in manifest["Layers"]]
    assert manifest["Layers"] == [f"{digest}.tar" for digest in digests]
    assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{digest}" for digest in digests]
    assert json.loads(config)["config"]["User"] == "999:999"
    assert "MODE=quiet" in json.loads(config)["config"]["Env"]


def test_a_layer_holds_files_owned_by_root_at_one_time(directory: Path) -> None:
    image = images.read(directory)
    [layer] = images.layers(image)
    with tarfile.open(layer.path) as tar:
        owners = {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry in tar}
        assert [entry.name for entry in tar] == ["etc", "etc/thing.conf"]
    assert owners == {(0, 0, "", images.EPOCH)}


def test_changed_content_is_a_new_image(directory: Path) -> None:
    def identity() -> str:
        image = images.read(directory)
        return images.identity(image, images.layers(image))

    before = identity()
    assert identity() == before
    (directory / "rootfs" / "etc" / "thing.conf").write_text("loud = yes\n")
    assert identity() != before


def test_an_image_builds_upon_another(directory: Path) -> None:
    upper = directory.parent / "upper"
    (upper / "rootfs").mkdir(parents=True)
    (upper / "rootfs" / "more").write_text("more")
    (upper / "image.yaml").write_text("name: a/upper:1\nbase: thing\nfiles: rootfs\n")
    [manifest] = json.loads(entries(upper)["manifest.json"])
    [below] = json.loads(entries(directory)["manifest.json"])
    assert manifest["Layers"][:1] == below["Layers"]
    assert len(manifest["Layers"]) == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: a:1\ncolour: red\n", "unknown key colour"),
        ("name: docker.io/a\n", "needs a tag"),
        ("name: localhost:5000/a\n", "needs a tag"),
        ("name: a:latest\n", "needs a tag"),
        ("packages: [x]\n", "needs a tag"),
        ("name: a:1\nuser: 999\n", "user must be a text"),
        ("name: a:1\npackages: x\n", "packages must be a list"),
        ("name: a:1\nenv: {A: 1}\n", "env must be a table"),
        ("name: a:1\nbase: b\npackages: [x]\n", "no base"),
        ("- a\n", "mapping"),
        ("a: [\n", "cannot be read"),
    ],
)
def test_a_malformed_description_is_refused_by_file_and_key(
    directory: Path, text: str, complaint: str
) -> None:
    (directory / "image.yaml").write_text(text)
    with pytest.raises(steps.StepError, match=complaint) as caught:
        images.read(directory)
    assert "image.yaml" in str(caught.value)
