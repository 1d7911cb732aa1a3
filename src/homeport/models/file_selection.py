"""Which of a source's files belong to a model of the catalogue, and their roles. Downloads nothing."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from homeport.domain.errors import Unavailable
from homeport.models.catalogue_entry import CatalogueFile, CatalogueSource
from homeport.models.sources.protocol import RemoteFile, SourceListing

_WEIGHTS_AND_SETTINGS = {".json", ".safetensors", ".txt", ".model"}


def select_files(source: CatalogueSource, listing: SourceListing, label: str) -> tuple[list[RemoteFile], list[str]]:
    """Return the files to download and, for each, its role. Raises Unavailable if the source lacks one."""
    pairs = [pair for file in source.files for pair in _select(source, file, listing, label)]
    return [file for file, _ in pairs], [role for _, role in pairs]


def _select(
    source: CatalogueSource, wanted: CatalogueFile, listing: SourceListing, label: str
) -> Iterator[tuple[RemoteFile, str]]:
    if wanted.is_folder:
        yield from _select_all(wanted, listing, label)
        return
    path, digest = source.place(wanted), wanted.sha256
    for file in listing.files:
        if file.path == path:
            if digest is not None and file.sha256 not in (None, digest):
                raise Unavailable(f"{label} has another {path} than the pinned one.")
            yield RemoteFile(file.path, file.size, digest or file.sha256, wanted.stored_as), wanted.role
            return
    raise Unavailable(f"{label} no longer has {path}.")


def _select_all(wanted: CatalogueFile, listing: SourceListing, label: str) -> Iterator[tuple[RemoteFile, str]]:
    """Select every file that a library would read. The role is the wanted one, `/` and the path."""
    inside = [file for file in listing.files if PurePosixPath(file.path).suffix in _WEIGHTS_AND_SETTINGS]
    if not inside:
        raise Unavailable(f"{label} has no files of a model.")
    for file in inside:
        stored_as = file.path.replace("\\", "/").replace("/", "--")
        yield RemoteFile(file.path, file.size, file.sha256, stored_as), f"{wanted.role}/{file.path}"
