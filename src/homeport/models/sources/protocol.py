"""The interface of every source, and its errors. Knows no particular source."""

from pathlib import Path
from typing import Protocol

import msgspec

from homeport.domain.errors import (
    Forbidden,
    HomeportError,
    NotFound,
    Unavailable,
)
from homeport.domain.operations import ProgressReporter


class RemoteFile(msgspec.Struct, frozen=True):
    """A file of a source. `path` is the source's own; size in bytes and SHA-256 if they are known.

    `stored_as`: its name on disk, if the name in its path is not unique among a model's files.
    """

    path: str
    size: int | None = None
    sha256: str | None = None
    stored_as: str = ""

    @property
    def name(self) -> str:
        """The file's name without folders: the only part of a foreign path that is used on disk."""
        return self.stored_as or self.path.replace("\\", "/").rsplit("/", 1)[-1]


class SourceListing(msgspec.Struct, frozen=True):
    """What a source has at one moment. `revision` is fixed: later downloads get exactly these files."""

    revision: str | None
    files: tuple[RemoteFile, ...]


class ModelSource(Protocol):
    """One place that one model can come from."""

    @property
    def label(self) -> str:
        """The source as users write it, such as `hf:org/repo`."""
        ...

    def listing(self) -> SourceListing:
        """List the files. Raises Unavailable, Forbidden or NotFound that say what to do."""
        ...

    def fetch(self, listing: SourceListing, file: RemoteFile, part: Path, progress: ProgressReporter) -> None:
        """Complete `part` as the whole of `file`, resuming after the bytes that it has.

        Raises what `listing` raises. The caller checks the hash.
        """
        ...


def hub_error(label: str, status: int, *, where: str, token: str) -> HomeportError:
    """Return the error for a hub's HTTP status. `where` is the model's page there, `token` the setting for a token."""
    if status in (401, 403):
        return Forbidden(
            f"{label} is private, gated, or does not exist: see {where}, accept its terms there if "
            f"required, and set {token} to a token of an account that may read it."
        )
    if status == 404:
        return NotFound(f"{label} does not exist: see {where}.")
    return Unavailable(f"{label} answered with HTTP status {status}: try again later.")


def unreachable_error(endpoint: str, reason: str, *, setting: str) -> HomeportError:
    """Return the error for a hub that does not answer. `setting` names the setting for another address of it."""
    return Unavailable(
        f"{endpoint} cannot be reached ({reason}): check the network, set {setting} to a mirror, "
        "or set HOMEPORT_OFFLINE=1 to use only what is installed."
    )
