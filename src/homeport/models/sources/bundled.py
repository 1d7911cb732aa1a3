"""Models bundled with Homeport, as data inside its package. Knows nothing of networks or of the store."""

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from homeport.domain.errors import Unavailable
from homeport.domain.operations import ProgressReporter
from homeport.models import disk
from homeport.models.sources.protocol import RemoteFile, SourceListing

ROOT: Traversable = resources.files("homeport.models").joinpath("bundled")
"""Their folder in the package."""
_BLOCK = 1 << 20


class BundledSource(msgspec.Struct, frozen=True):
    """The files of one model, by their paths below the package's folder `bundled`."""

    files: tuple[RemoteFile, ...]

    @property
    def label(self) -> str:
        """This program's own package."""
        return "this program's own package"

    def listing(self) -> SourceListing:
        """Return the pinned files. Raises Unavailable if the installation lacks one."""
        for file in self.files:
            if not _place(file).is_file():
                raise Unavailable(f"This installation lacks {file.path}: install Homeport again.")
        return SourceListing(None, self.files)

    def fetch(self, listing: SourceListing, file: RemoteFile, part: Path, progress: ProgressReporter) -> None:  # noqa: ARG002 - the protocol's
        """Copy the file."""
        part.unlink(missing_ok=True)
        with disk.translate_disk_full(part.parent), _place(file).open("rb") as source, part.open("wb") as target:
            while block := source.read(_BLOCK):
                target.write(block)
                progress.advance(len(block))


def _place(file: RemoteFile) -> Traversable:
    return ROOT.joinpath(*file.path.split("/"))
