"""Syncs files and folders to the disk, so that they survive a power cut, and recognizes a full disk.

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
"""The errors of a full disk, an exhausted disk quota and a file that is too large."""
_DISK_FULL_TEXTS = ("No space left", "disk is full", "disk full", "Disk quota", "os error 28")
"""The same in the messages of libraries and programs."""
_CANNOT = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM)
"""The errors of file systems that cannot sync folders (network, user space), and of folders without read permission."""


def flush(file: int) -> None:
    """Sync the content of an open file to the disk."""
    if sys.platform == "darwin":  # its fsync leaves the data in the cache of the drive
        with contextlib.suppress(OSError):  # of file systems that support only fsync
            fcntl.fcntl(file, fcntl.F_FULLFSYNC)
            return
    os.fsync(file)


def sync_path(path: Path) -> None:
    """Sync a file's content to the disk, or a folder's names if the file system can."""
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
    """Create a folder and its missing parents, accessible to this user alone."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in missing:
        sync_path(each.parent)


def reports_full_disk(message: str) -> bool:
    """Return whether the error message of a library or program says that the disk is full."""
    return any(text in message for text in _DISK_FULL_TEXTS)


def storage_error(error: OSError, what: str) -> HomeportError:
    """Return the error for callers if something cannot be written: StorageFull, or Unavailable with the reason."""
    if error.errno in DISK_FULL_ERRNOS:
        return StorageFull(f"The disk is full: {what} cannot be written.")
    return Unavailable(f"{what[:1].upper()}{what[1:]} cannot be written: {error.strerror}.")
