"""The note that lies beside a model's files: what they are, where they came from, and their hashes.

A model is installed when its manifest is there; it is written last, at once, under its final name.
"""

import hashlib
from pathlib import Path

import msgspec

from homeport.domain.models import Facts, Installed

FILE_NAME = "manifest.json"


class StoredFile(msgspec.Struct, frozen=True):
    """One file of a model. `role` is what the engine calls it: `weights`, `weights-2` for a second shard, …"""

    name: str
    role: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What is installed under one name. `revision` is the hub's commit, or a package version."""

    facts: Facts
    source: str
    revision: str | None
    files: tuple[StoredFile, ...]

    @property
    def digest(self) -> str:
        """One hash for all files: the file's own where there is one, else the hash of their hashes."""
        if len(self.files) == 1:
            return self.files[0].sha256
        lines = "".join(f"{file.sha256}  {file.role}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

    def installed(self, folder: Path) -> Installed:
        """The model as an engine needs it, its files lying in `folder`."""
        return Installed(self.facts, {file.role: folder / file.name for file in self.files}, self.digest)


def read(folder: Path) -> Manifest:
    """The manifest in `folder`. Raises FileNotFoundError, or msgspec.DecodeError where it is not one."""
    return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Manifest)


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into `folder` so that a reader sees the old one or the new one, whole."""
    part = folder / f"{FILE_NAME}.part"
    part.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    part.replace(folder / FILE_NAME)
