"""The note that lies beside a model's files: what they are, where they came from, and their hashes.

A model is installed when its manifest is there; it is written last, at once, under its final name.
"""

import hashlib
from pathlib import Path

import msgspec

from homeport.domain.models import InstalledModel, ModelFacts
from homeport.domain.weight_layouts import ORIGINAL, Trial
from homeport.formats import durable_files

FILE_NAME = "manifest.json"


class StoredFile(msgspec.Struct, frozen=True):
    """One file of a model. `role` is what the engine calls it: `weights`, `weights-2` for a second shard, …"""

    name: str
    role: str
    size: int
    sha256: str


class StoredLayout(msgspec.Struct, frozen=True):
    """The weights once more, in another layout: its file, what was measured of it, and on which kernels and CPU."""

    name: str
    file: StoredFile
    trial: Trial
    kernels: str
    machine: str


class Parent(msgspec.Struct, frozen=True):
    """The model that a fine-tuned one adapts, and the digest of the files it was trained on."""

    name: str
    digest: str


class Manifest(msgspec.Struct, frozen=True):
    """What is installed under one name. `revision` is the hub's commit, or a package version.

    `layouts` lie beside the files that were fetched; `active` is the one that is loaded. `options`: what the engine is
    told besides the files, such as the steps that the model was made for. `parent`: of a fine-tuned one.
    `project`: whose it is; None: everybody's.
    """

    facts: ModelFacts
    source: str
    revision: str | None
    files: tuple[StoredFile, ...]
    layouts: tuple[StoredLayout, ...] = ()
    active: str = ORIGINAL
    options: dict[str, str | int | float | bool] = {}
    parent: Parent | None = None
    project: str | None = None

    @property
    def digest(self) -> str:
        """One hash for all files that were fetched."""
        return _digest(self.files)

    @property
    def all_files(self) -> tuple[StoredFile, ...]:
        """All files on the disk, those of other layouts too."""
        return (*self.files, *(layout.file for layout in self.layouts))

    def layout(self, name: str) -> StoredLayout | None:
        """The layout of this name, None for the original and for one that is not there."""
        return next((layout for layout in self.layouts if layout.name == name), None)

    def to_installed(self, folder: Path, layout: str | None = None) -> InstalledModel:
        """The model as an engine needs it, its files lying in `folder`; `layout` goes before the active one."""
        chosen = self.layout(layout or self.active)
        files = self.files
        if chosen:
            files = tuple(chosen.file if file.role == chosen.file.role else file for file in files)
        found = {file.role: folder / file.name for file in files}
        parent = self.parent.name if self.parent else None
        layout = chosen.name if chosen else ORIGINAL
        return InstalledModel(self.facts, found, _digest(files), layout, parent, self.project)


def _digest(files: tuple[StoredFile, ...]) -> str:
    """The file's own hash where there is one, else the hash of their hashes."""
    if len(files) == 1:
        return files[0].sha256
    lines = "".join(f"{file.sha256}  {file.role}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def read(folder: Path) -> Manifest:
    """The manifest in `folder`. Raises FileNotFoundError, or msgspec.DecodeError where it is not one."""
    return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Manifest)


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into `folder` so that a reader sees the old one or the new one, whole."""
    durable_files.replace_file(folder / FILE_NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    durable_files.sync_path(folder.parent)
