"""The manifest of an installed model: what its files are, where they came from, and their hashes.

A model is installed when its manifest exists; it is written last, atomically.
"""

import hashlib
from pathlib import Path

import msgspec

from homeport.domain.models import InstalledModel, ModelFacts
from homeport.domain.weight_layouts import ORIGINAL, Trial
from homeport.formats import atomic, durable_files

FILE_NAME = "manifest.json"


class StoredFile(msgspec.Struct, frozen=True):
    """One file of a model. `role` is the engine's name for it: `weights`, `weights-2` for a second shard, …"""

    name: str
    role: str
    size: int
    sha256: str


class StoredLayout(msgspec.Struct, frozen=True):
    """The weights in another layout: the file, the measurements, and the kernels and CPU of these."""

    name: str
    file: StoredFile
    trial: Trial
    kernels: str
    machine: str


class Parent(msgspec.Struct, frozen=True):
    """The base model of a fine-tuned one, and the digest of the files that it was trained on."""

    name: str
    digest: str


class Manifest(msgspec.Struct, frozen=True):
    """What is installed under one name. `revision` is the hub's commit, or a package version.

    `layouts` are in addition to the pulled files; `active` is the loaded one. `options`: engine options besides the
    files, such as the number of steps that suits the model. `parent`: of a fine-tuned model. `project`: the owner;
    None: the model is public.
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
        """One hash of all files that were pulled."""
        return _digest(self.files)

    @property
    def all_files(self) -> tuple[StoredFile, ...]:
        """All files on disk, including those of other layouts."""
        return (*self.files, *(layout.file for layout in self.layouts))

    def layout(self, name: str) -> StoredLayout | None:
        """Return the layout of this name; None for the original and for an unknown one."""
        return next((layout for layout in self.layouts if layout.name == name), None)

    def to_installed(self, folder: Path, layout: str | None = None) -> InstalledModel:
        """Return the model as an engine needs it, with its files in `folder`; `layout` overrides the active one."""
        chosen = self.layout(layout or self.active)
        files = self.files
        if chosen:
            files = tuple(chosen.file if file.role == chosen.file.role else file for file in files)
        paths = {file.role: folder / file.name for file in files}
        parent = self.parent.name if self.parent else None
        layout = chosen.name if chosen else ORIGINAL
        return InstalledModel(self.facts, paths, _digest(files), layout, parent, self.project)


def _digest(files: tuple[StoredFile, ...]) -> str:
    """Return the hash of a single file, else the hash of all hashes."""
    if len(files) == 1:
        return files[0].sha256
    lines = "".join(f"{file.sha256}  {file.role}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def read(folder: Path) -> Manifest:
    """Read the manifest in `folder`. Raises FileNotFoundError, or msgspec.DecodeError for an invalid one."""
    return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Manifest)


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into `folder` atomically."""
    atomic.write_file(folder / FILE_NAME, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    durable_files.sync_path(folder.parent)
