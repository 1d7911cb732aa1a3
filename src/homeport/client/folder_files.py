"""The files of a folder, and how a changed file is recognized. Knows nothing of what files are for."""

import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

SETTLED_NS = 2 * 10**9
"""A file hashed sooner than this after its last change is hashed again: file systems record times this coarsely."""
_BLOCK = 1 << 20


class FileState(msgspec.Struct, frozen=True, array_like=True):
    """Where a file is in its folder, and what says that it is unchanged without reading it."""

    path: str
    size: int
    changed_ns: int


def list_files(folder: Path, suffixes: Collection[str]) -> Iterator[FileState]:
    """List the files with these suffixes in a folder and those in it, by path; hidden ones are skipped."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place) / name
            if name.startswith(".") or path.suffix.lower() not in suffixes:
                continue
            try:
                status = path.stat()
            except OSError:
                continue  # a link to nowhere, or gone by now
            yield FileState(path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns)


def hash_file(path: Path) -> str:
    """Return the hash of a file's content. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
