"""Writes files and folders that survive a power cut once these functions have returned.

A new name survives only if its folder is synced afterwards, so folders are synced too. All functions block.
"""

import contextlib
import errno
import fcntl
import os
import sys
from pathlib import Path

from homeport.domain.errors import HomeportError, StorageFull, Unavailable

DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The errors of a disk without room, or of a user without a share of it."""
_CANNOT = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM)
"""The errors of file systems that do not sync folders (of networks, in user space), or of folders not to be read."""


def flush(file: int) -> None:
    """Sync the content of an open file to the disk."""
    if sys.platform == "darwin":  # its fsync leaves it in the cache of the drive
        with contextlib.suppress(OSError):  # of file systems that know fsync alone
            fcntl.fcntl(file, fcntl.F_FULLFSYNC)
            return
    os.fsync(file)


def sync_path(path: Path) -> None:
    """Sync a file's content, or a folder's names where these can be synced, to the disk."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            flush(file)
        finally:
            os.close(file)
    except OSError as error:
        if error.errno not in _CANNOT or not path.is_dir():
            raise


def make_folder(folder: Path) -> None:
    """Make a folder for this user alone, and its parents, where they are missing."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in missing:
        sync_path(each.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file for this user alone, atomically: complete or not at all, without leftovers.

    One writer of a name at a time.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.touch(mode=0o600)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            flush(file.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    sync_path(path.parent)


def storage_error(error: OSError, what: str) -> HomeportError:
    """What kept something from being written, as callers may see it: StorageFull, or Unavailable with the reason."""
    if error.errno in DISK_FULL_ERRNOS:
        return StorageFull(f"The disk is full: {what} cannot be written.")
    return Unavailable(f"{what[:1].upper()}{what[1:]} cannot be written: {error.strerror}.")
