"""Free space on disk, and hashes of files. Knows nothing of models."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homeport.domain.errors import Unavailable
from homeport.formats import durable_files

DISK_FULL = "disk_full"
"""The code of an error that no other source can help with."""

_MARGIN = 64 << 20  # stays free for other programs


def require_space(folder: Path, size: int) -> None:
    """Raise Unavailable (code `disk_full`) unless `size` bytes and a margin are free at `folder`."""
    free = shutil.disk_usage(folder).free
    if size > 0 and free < size + _MARGIN:
        raise Unavailable(
            f"Not enough space in {folder}: {_gigabytes(size)} are needed and {_gigabytes(free)} are free. "
            "Free some space (`homeport rm NAME` removes a model) or set HOMEPORT_HOME to a larger disk.",
            code=DISK_FULL,
        )


@contextmanager
def translate_disk_full(folder: Path) -> Iterator[None]:
    """Raise Unavailable (code `disk_full`) if the disk is full; what was written stays, so that a pull can resume."""
    try:
        yield
    except OSError as error:
        if error.errno not in durable_files.DISK_FULL_ERRNOS:
            raise
        raise Unavailable(
            f"The disk of {folder} is full. Free some space or set HOMEPORT_HOME to a larger disk, then rerun the "
            "same command to resume.",
            code=DISK_FULL,
        ) from error


def sha256(path: Path) -> str:
    """Return the file's SHA-256 in hex, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def matches(path: Path, size: int | None, digest: str) -> bool:
    """Return whether a file has this size (if known) and this SHA-256. Checks the cheap size first."""
    if not path.is_file() or (size is not None and path.stat().st_size != size):
        return False
    return sha256(path) == digest


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
