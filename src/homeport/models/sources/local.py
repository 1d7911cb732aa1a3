"""Models from a file on this machine. Knows nothing of networks."""

import os
import re
from pathlib import Path

import msgspec

from homeport.domain.errors import InvalidRequest, NotFound, Unavailable
from homeport.domain.operations import ProgressReporter
from homeport.models import disk
from homeport.models.sources.protocol import RemoteFile, SourceListing

_BLOCK = 4 << 20
_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})\.gguf")


class LocalFile(msgspec.Struct, frozen=True):
    """A model's file, or the first of its shards. `link`: hard-link if the disk supports it, else copy.

    `projector`: a file that belongs to it, from any folder.
    """

    path: Path
    link: bool = False
    projector: Path | None = None

    @property
    def label(self) -> str:
        """The file as users write it."""
        return f"file:{self.path.absolute()}"

    def listing(self) -> SourceListing:
        """Return the file, or all its shards. Raises NotFound, or InvalidRequest for a folder."""
        if not self.path.exists():
            raise NotFound(f"There is no file {self.path}.")
        if not self.path.is_file():
            raise InvalidRequest(f"{self.path} is not a file: name the .gguf or .safetensors file itself.")
        paths = [self.path]
        if shard := _SHARD.fullmatch(self.path.name):
            stem, count = shard.groups()
            paths = sorted(self.path.parent.glob(f"{_escape_glob(stem)}-[0-9][0-9][0-9][0-9][0-9]-of-{count}.gguf"))
        if self.projector is not None:
            if not self.projector.is_file():
                raise NotFound(f"There is no file {self.projector}.")
            if self.projector.name in {path.name for path in paths}:
                raise InvalidRequest(f"{self.projector} has the name of the model's own file: rename it.")
            paths.append(self.projector)
        return SourceListing(None, tuple(RemoteFile(path.name, path.stat().st_size) for path in paths))

    def fetch(self, listing: SourceListing, file: RemoteFile, part: Path, progress: ProgressReporter) -> None:  # noqa: ARG002 - the protocol's
        """Copy the file, or link it."""
        is_projector = self.projector is not None and file.name == self.projector.name
        origin = self.projector if self.projector and is_projector else self.path.with_name(file.name)
        part.unlink(missing_ok=True)
        if self.link and _try_link(origin, part):
            progress.advance(file.size or 0)
            return
        try:
            with disk.translate_disk_full(part.parent), origin.open("rb") as source, part.open("wb") as target:
                before = os.fstat(source.fileno())
                while block := source.read(_BLOCK):
                    target.write(block)
                    progress.advance(len(block))
                after = os.fstat(source.fileno())
        except PermissionError as error:
            raise Unavailable(f"{origin} cannot be read: {error.strerror}.") from error
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise Unavailable(f"{origin} changed while it was copied: try again when it is complete.")


def _try_link(origin: Path, part: Path) -> bool:
    try:
        os.link(origin, part)
    except OSError:
        return False  # another disk, or one without links: copy instead
    return True


def _escape_glob(stem: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", stem)
