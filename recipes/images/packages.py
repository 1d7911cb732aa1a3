"""The npm packages with the drawings and captions: fetched by version, checked by hash, unpacked.

Knows nothing of their content.
"""

import hashlib
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Package:
    """An npm package used as data. `licence`: the license that the package states for its content."""

    name: str
    version: str
    sha256: str
    licence: str

    @property
    def archive(self) -> str:
        """The name of the file that `npm pack` writes."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


PACKAGES = {
    "noto": Package(
        "@iconify-json/noto",
        "1.2.9",
        "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
        "Apache-2.0",
    ),
    "flat": Package(
        "@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
        "MIT",
    ),
    "fluent": Package(
        "@iconify-json/fluent-emoji",
        "1.2.7",
        "8044210dbf11e016d4de85f15d01a243423bd832457e7e2491df1b751c0e272b",
        "MIT",
    ),
    "fx": Package(
        "@iconify-json/fxemoji",
        "1.2.2",
        "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef",
        "Apache-2.0",
    ),
    "captions": Package(
        "emojibase-data",
        "17.0.0",
        "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
        "MIT",
    ),
}


class ChangedPackageError(Exception):
    """A fetched package does not have the pinned hash."""


def fetch(into: Path, keys: Iterable[str] = tuple(PACKAGES)) -> dict[str, Path]:
    """Fetch packages that are missing; return the folder of each by its key in PACKAGES.

    Raises ChangedPackageError if a file's hash is not the pinned one, CalledProcessError if npm fails.
    """
    into.mkdir(parents=True, exist_ok=True)
    return {key: _unpacked(PACKAGES[key], into) for key in keys}


def _unpacked(package: Package, into: Path) -> Path:
    archive = into / package.archive
    folder = into / package.archive.removesuffix(".tgz")
    if not archive.exists():
        subprocess.run(["npm", "pack", "--silent", f"{package.name}@{package.version}"], cwd=into, check=True)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != package.sha256:
        raise ChangedPackageError(f"{archive.name} has sha256 {found}, not {package.sha256}.")
    if not folder.exists():
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    return folder / "package"
