"""Container images without a registry: Debian packages, files and programs, made into archives.

`lab/images/<name>/image.yaml` describes an image:

    name: docker.io/library/postgres:15.14   what pods call it; a tag is required
    packages: [postgresql-15]                Debian packages of its root file system
    base: toolbox                            or: the image directory it builds upon
    files: rootfs/                           a directory beside it, copied over the root
    binaries: {/usr/bin/x: coredns}          programs of the cache, or host files by absolute path
    entrypoint: [...]  cmd: [...]  env: {...}  user: "999:999"  workdir: /

An image is a list of layers, each a tar file that is cached by what went into it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lab import layout, machine, steps

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY = layout.SOURCE / "images"
# One time for every file, so that the same content always has the same digest.
EPOCH = 1_700_000_000
LISTS = ("packages", "entrypoint", "cmd")
TEXTS = ("name", "base", "files", "user", "workdir")
TABLES = ("binaries", "env")


@dataclass(frozen=True)
class Image:
    """A described image; `directory` is where its description and files lie."""

    directory: Path
    name: str
    packages: tuple[str, ...] = ()
    base: str = ""
    files: str = ""
    binaries: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = ""


@dataclass(frozen=True)
class Layer:
    """A cached layer: an uncompressed tar and its sha256."""

    path: Path
    digest: str


def described() -> list[Path]:
    """Return the directories that describe an image."""
    return sorted(path.parent for path in DIRECTORY.glob("*/image.yaml"))


def read(directory: Path) -> Image:
    """Return the image of a directory; raise StepError naming file and key if malformed."""
    file = directory / "image.yaml"
    try:
        found = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise steps.StepError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise steps.StepError(f"{file}: a mapping is expected, see lab/images.py")
    unknown = set(found) - {*LISTS, *TEXTS, *TABLES}
    if unknown:
        raise steps.StepError(f"{file}: unknown key {min(unknown)}")
    values: dict[str, Any] = {}
    for key, value in found.items():
        values[key] = _typed(file, key, value)
    if ":" not in values.get("name", "").rpartition("/")[2] or values["name"].endswith(":latest"):
        raise steps.StepError(f"{file}: name needs a tag other than latest")
    if values.get("base") and values.get("packages"):
        raise steps.StepError(
            f"{file}: packages go into a root of their own, so no base beside them"
        )
    return Image(directory=directory, **values)


def layers(image: Image) -> list[Layer]:
    """Return the image's layers from below, made now if the cache lacks them."""
    below: list[Layer] = []
    if image.base:
        below = layers(read(image.directory.parent / image.base))
    if image.packages:
        below = [_packages_layer(image.packages)]
    return [*below, *_files_layer(image)]


def archive(image: Image, made_of: list[Layer]) -> Iterator[bytes]:
    """Yield a docker-archive of the image in pieces."""
    config = json.dumps(_config(image, made_of), sort_keys=True).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = {
        "Config": config_name,
        "RepoTags": [image.name],
        "Layers": [f"{layer.digest}.tar" for layer in made_of],
    }
    for layer in made_of:
        yield _header(f"{layer.digest}.tar", layer.path.stat().st_size)
        with layer.path.open("rb") as content:
            while piece := content.read(1 << 20):
                yield piece
        yield _padding(layer.path.stat().st_size)
    for name, text in ((config_name, config), ("manifest.json", json.dumps([manifest]).encode())):
        yield _header(name, len(text)) + text + _padding(len(text))
    yield bytes(2 * tarfile.BLOCKSIZE)


def identity(image: Image, made_of: list[Layer]) -> str:
    """Return the digest by which a node knows whether it already has this image."""
    return hashlib.sha256(json.dumps(_config(image, made_of), sort_keys=True).encode()).hexdigest()


def kept(described: list[Image]) -> set[Path]:
    """Return the cached files that hold the package layers of these images."""
    tars = {_packages_cache(_recipe(image.packages)) for image in described}
    return tars | {tar.with_suffix(".sha256") for tar in tars}


def _typed(file: Path, key: str, value: object) -> object:
    if key in LISTS and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if key in TEXTS and isinstance(value, str):
        return value
    texts = isinstance(value, dict) and all(
        isinstance(part, str) for item in value.items() for part in item
    )
    if key in TABLES and texts:
        return value
    kind = "a list of texts" if key in LISTS else "a text" if key in TEXTS else "a table of texts"
    raise steps.StepError(f"{file}: {key} must be {kind} (quote numbers and booleans)")


def _config(image: Image, made_of: list[Layer]) -> dict[str, Any]:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    env = {"PATH": path, **image.env}
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": list(image.entrypoint) or None,
            "Cmd": list(image.cmd) or None,
            "Env": [f"{name}={value}" for name, value in env.items()],
            "User": image.user,
            "WorkingDir": image.workdir or "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in made_of]},
    }


def _recipe(packages: tuple[str, ...]) -> list[str]:
    """Return the command, less its output, that makes a minimal Debian with these packages."""
    no_database = "/etc/postgresql-common/createcluster.conf"
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=essential",
        "--format=tar",
        f"--include={','.join(sorted(packages))}",
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=Apt::Install-Recommends "false"',
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--dpkgopt=path-exclude=/usr/share/man/*/*",
        # A database package would make a first database while it is installed.
        f'--essential-hook=mkdir -p "$1{Path(no_database).parent}"',
        f'--essential-hook=echo "create_main_cluster = false" > "$1{no_database}"',
        '--customize-hook=rm -rf "$1"/var/lib/apt/lists "$1"/var/cache "$1"/var/log/*',
        "bookworm",
    ]


def _packages_cache(recipe: list[str]) -> Path:
    key = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
    return layout.cache() / "layers" / f"packages-{key}.tar"


def _packages_layer(packages: tuple[str, ...]) -> Layer:
    """Return the layer of a minimal Debian with these packages, made now if the cache lacks it."""
    cached = _packages_cache(_recipe(packages))
    if not cached.exists():
        log = layout.cache() / "logs" / f"{cached.stem}.log"
        with steps.step(f"install {', '.join(packages)} into an image (first time only)", log):
            cached.parent.mkdir(parents=True, exist_ok=True)
            unfinished = cached.with_suffix(".new.tar")
            work = layout.cache() / "tmp"
            machine.unmount_below(work)  # what a killed command left
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            settings = {"LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": str(EPOCH), "TMPDIR": str(work)}
            steps.run([*_recipe(packages), unfinished], log, env={**os.environ, **settings})
            unfinished.replace(cached)
    return _measured(cached)


def _files_layer(image: Image) -> list[Layer]:
    """Return the layer of the image's own files and programs, or none when it has neither."""
    entries: list[tuple[str, Path]] = []
    if image.files:
        top = image.directory / image.files
        entries += [(str(path.relative_to(top)), path) for path in sorted(top.rglob("*"))]
    for target, source in sorted(image.binaries.items()):
        path = Path(source) if source.startswith("/") else layout.binary(source).resolve()
        entries.append((target.lstrip("/"), path))
    if not entries:
        return []
    parts = hashlib.sha256()
    for name, path in entries:
        mode = path.lstat().st_mode
        parts.update(f"{name} {mode} {path.readlink() if path.is_symlink() else ''}\0".encode())
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as content:
                parts.update(hashlib.file_digest(content, "sha256").digest())
    cached = layout.cache() / "layers" / f"files-{parts.hexdigest()[:16]}.tar"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        unfinished = cached.with_suffix(".new.tar")
        with tarfile.open(unfinished, "w") as tar:
            for name, path in entries:
                tar.add(path, name, recursive=False, filter=_reproducible)
        unfinished.replace(cached)
    return [_measured(cached)]


def _reproducible(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = EPOCH
    return entry


def _measured(path: Path) -> Layer:
    """Return a layer with its digest, which is kept beside it."""
    known = path.with_suffix(".sha256")
    if not known.exists():
        with path.open("rb") as content:
            known.write_text(hashlib.file_digest(content, "sha256").hexdigest())
    return Layer(path, known.read_text())


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mtime = EPOCH
    return entry.tobuf(tarfile.USTAR_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
