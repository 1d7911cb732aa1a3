"""What every source can do, and how it says that it cannot. Knows no particular source."""

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
    """A file that a source has. `path` is the source's own; size in bytes and SHA-256 where they are known."""

    path: str
    size: int | None = None
    sha256: str | None = None

    @property
    def name(self) -> str:
        """The file's name without folders: the only part of a foreign path that reaches our disk."""
        return self.path.replace("\\", "/").rsplit("/", 1)[-1]


class SourceListing(msgspec.Struct, frozen=True):
    """What a source has at one moment. `revision` is fixed: later fetches get these very files."""

    revision: str | None
    files: tuple[RemoteFile, ...]


class ModelSource(Protocol):
    """One place that one model can come from."""

    @property
    def label(self) -> str:
        """The source as users write it, such as `hf:org/repo`."""
        ...

    def listing(self) -> SourceListing:
        """Look what is there. Raises Unavailable, Forbidden or Missing that say what to do."""
        ...

    def fetch(self, listing: SourceListing, file: RemoteFile, part: Path, progress: ProgressReporter) -> None:
        """Make `part` the whole of `file`, going on from the bytes that are in it already.

        Raises what `listing` raises. Whether the bytes are right is for the caller to check.
        """
        ...


def hub_error(label: str, status: int, *, where: str, token: str) -> HomeportError:
    """The error for a hub's HTTP status. `where` is its page for people, `token` the setting for a key to it."""
    if status in (401, 403):
        return Forbidden(
            f"{label} is private, gated, or does not exist: look at {where}, accept its terms there if it asks for "
            f"that, and set {token} to a token of an account that may read it."
        )
    if status == 404:
        return NotFound(f"{label} does not exist: look at {where}.")
    return Unavailable(f"{label} answered with HTTP status {status}: try again later.")


def unreachable_error(endpoint: str, reason: str, *, setting: str) -> HomeportError:
    """The error for a hub that does not answer. `setting` names the setting for another address of it."""
    return Unavailable(
        f"{endpoint} cannot be reached ({reason}): check the network, set {setting} to a mirror, "
        "or set HOMEPORT_OFFLINE=1 to use only what is installed."
    )
