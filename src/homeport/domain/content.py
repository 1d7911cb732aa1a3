"""Data that requests refer to instead of containing it. Values only.

Knows nothing of where it is stored or how it is decoded.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.domain.errors import Unavailable


class Attachment(msgspec.Struct, frozen=True, array_like=True):
    """Data next to a request: a file that exists until the request ends, or the id of a blob. Exactly one is set."""

    path: Path | None = None
    blob: str | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.blob is None):
            raise ValueError("an attachment needs either a path or a blob")

    @property
    def local_path(self) -> Path:
        """The file on this machine. Raises Unavailable for a blob, which no worker can fetch yet."""
        if self.path is None:
            raise Unavailable(f"The blob {self.blob} is not a file on this machine.")
        return self.path


def attach(files: Mapping[str, Path]) -> dict[str, Attachment]:
    """Return files by role as attachments."""
    return {role: Attachment(path) for role, path in files.items()}
