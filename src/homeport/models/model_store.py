"""The models on disk: `<home>/models/<name>/`, each with its files under their own names and a manifest.

Knows nothing of hubs, catalogues or aliases.
"""

import logging
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import msgspec

from homeport.domain.errors import InvalidRequest, ModelNotFound, Unavailable
from homeport.domain.models import InstalledModel
from homeport.domain.operations import NullProgress, ProgressReporter
from homeport.domain.weight_layouts import ORIGINAL
from homeport.models import disk, manifest
from homeport.models.manifest import Manifest, StoredFile
from homeport.models.references import folder_name

_log = logging.getLogger(__name__)


class ModelStore:
    """Every model installed under one home folder. Any number of processes may use it at once.

    `layout` None returns each model in its active layout, `original` as it was pulled.
    """

    def __init__(self, home: Path, layout: str | None = None) -> None:
        self.home = home
        self._layout = layout
        self._root = home / "models"
        self._manifests: dict[str, tuple[int, Manifest]] = {}
        self._warned: set[str] = set()

    def folder(self, name: str) -> Path:
        """Return the folder of a model's files. Raises InvalidRequest for a name that could leave the store."""
        return self._root / folder_name(name)

    def names(self) -> list[str]:
        """Return the names of all installed models, sorted."""
        return [model.facts.name for model in self.installed()]

    def installed(self) -> list[InstalledModel]:
        """Return every installed model, by name."""
        if not self._root.is_dir():
            return []
        folders = sorted(path for path in self._root.iterdir() if path.is_dir())
        return [model for folder in folders if (model := self._read(folder))]

    def find(self, name: str) -> InstalledModel | None:
        """Return the model of this name, or None if it is not installed or a file is missing or truncated."""
        try:
            return self._read(self.folder(name))
        except InvalidRequest:
            return None

    def parent(self, tuned: InstalledModel) -> InstalledModel | None:
        """Return the base model of a fine-tuned one, if the files that it was trained on are installed."""
        expected = self.manifest(tuned.facts.name).parent
        base = self.find(expected.name) if expected else None
        return base if expected and base and self.manifest(expected.name).digest == expected.digest else None

    def manifest(self, name: str) -> Manifest:
        """Return a model's manifest. Raises ModelNotFound."""
        if not self.find(name):
            raise ModelNotFound(f"The model `{name}` is not installed.")
        return self._manifests[self.folder(name).name][1]  # `find` has just read it

    def commit(self, new_manifest: Manifest) -> InstalledModel:
        """Install a model whose files are in its folder already, and delete what unfinished pulls left there."""
        folder = self.folder(new_manifest.facts.name)
        manifest.write(folder, new_manifest)
        _delete_partial_files(folder)
        return new_manifest.to_installed(folder, self._layout)

    def verify(self, name: str) -> None:
        """Read every byte again. Raises ModelNotFound, or Unavailable that names the changed files."""
        stored = self.manifest(name)
        folder = self.folder(name)
        bad = [file.name for file in stored.all_files if not disk.matches(folder / file.name, file.size, file.sha256)]
        if bad:
            raise Unavailable(
                f"{', '.join(bad)} of `{name}` is not what was installed: run `homeport rm {name}` and pull it again."
            )

    def remove(self, name: str) -> None:
        """Delete a model and all its files.

        Raises ModelNotFound, InvalidRequest while fine-tuned models need it, or Unavailable while it is being pulled.
        """
        folder = self.folder(name)
        if not folder.is_dir():
            raise ModelNotFound(f"The model `{name}` is not installed.")
        if children := [model.facts.name for model in self.installed() if model.parent == name]:
            raise InvalidRequest(
                f"{' and '.join(children)} cannot run without `{name}`: remove the fine-tuned models first."
            )
        lock = self._lock(name)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as busy:
            raise Unavailable(f"`{name}` is being pulled by another process: stop that one first.") from busy
        try:
            (folder / manifest.FILE_NAME).unlink(missing_ok=True)  # first, so that a half deleted model is never found
            shutil.rmtree(folder)
        finally:
            lock.release()

    def discard_partial(self, name: str) -> None:
        """Delete what an unfinished pull left of a model, unless another process pulls it now.

        Of an installed model only partial files are deleted.
        """
        folder = self.folder(name)
        lock = self._lock(name)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return
        try:
            if not (folder / manifest.FILE_NAME).exists():
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.is_dir():
                _delete_partial_files(folder)
        finally:
            lock.release()

    @contextmanager
    def lock_model(self, name: str, progress: ProgressReporter | None = None) -> Iterator[Path]:
        """Lock the model's folder (created if necessary) for this process; others wait."""
        reporter = progress or NullProgress()
        folder = self.folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        lock = self._lock(name)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            reporter.message(f"Another process is pulling {name}: waiting for it.")
            lock.acquire()
        try:
            folder.mkdir(exist_ok=True)  # it may have been removed meanwhile
            yield folder
        finally:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
            lock.release()

    def check_name_free(self, name: str, source: str) -> None:
        """Raise InvalidRequest if `name` is installed from elsewhere than `source`."""
        if self.find(name) and (taken := self.manifest(name).source) != source:
            raise InvalidRequest(
                f"`{name}` is already installed, from {taken}: give this one another name with --name, "
                f"or remove the other with `homeport rm {name}`."
            )

    def _lock(self, name: str) -> filelock.BaseFileLock:
        self._root.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(self._root / f".{folder_name(name)}.lock")

    def _read(self, folder: Path) -> InstalledModel | None:
        try:
            stamp = (folder / manifest.FILE_NAME).stat().st_mtime_ns
            read_stamp, stored = self._manifests.get(folder.name, (None, None))
            if stored is None or read_stamp != stamp:
                stored = manifest.read(folder)
                self._manifests[folder.name] = (stamp, stored)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except msgspec.DecodeError as error:
            self._warn(f"{folder / manifest.FILE_NAME} is broken, so this model is not served: {error}")
            return None
        for file in stored.files:
            if not _is_whole(folder, file):
                self._warn(
                    f"{folder / file.name} is missing or truncated, so `{folder.name}` is not served: pull it again"
                )
                return None
        chosen = stored.layout(stored.active)
        if chosen and not _is_whole(folder, chosen.file):
            self._warn(
                f"{folder / chosen.file.name} is missing or truncated, so `{folder.name}` is served as it was pulled"
            )
            return stored.to_installed(folder, ORIGINAL)
        return stored.to_installed(folder, self._layout)

    def _warn(self, text: str) -> None:
        if text not in self._warned:  # every request comes through here
            self._warned.add(text)
            _log.warning("%s", text)


def _delete_partial_files(folder: Path) -> None:
    for leftover in folder.glob("*.part"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def _is_whole(folder: Path, file: StoredFile) -> bool:
    try:
        status = (folder / file.name).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == file.size
