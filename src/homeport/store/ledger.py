"""What was used, written down at once: one line in a file for each request, before its last byte goes out.

A line that is written survives the end of the process, however it ends. `usage` reads the lines into the database;
where it stands in each file is kept there, in the same transaction, so that none is counted twice or lost.
Knows nothing of SQL.
"""

import errno
import fcntl
import os
import uuid
from pathlib import Path

import msgspec

from homeport.domain.errors import StorageFull, Unavailable
from homeport.domain.usage import Spent

SUFFIX = ".journal"
PARTIAL = ".partial"
_MOST_BYTES = 4_000_000
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Ledger:
    """This process's file in `folder`, and a new one whenever it has grown long. Its lock says that it is in use."""

    def __init__(self, folder: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._encoder = msgspec.json.Encoder()
        self._size = 0
        self._file = self._open()

    def write(self, spent: Spent) -> None:
        """Write a record down. Raises StorageFull; then it is not written."""
        line = self._encoder.encode(spent) + b"\n"
        try:
            if self._size + len(line) > self._most_bytes and self._size:
                self._turn()
            n_written = os.write(self._file, line)
            if n_written < len(line):
                os.ftruncate(self._file, self._size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFull("The disk is full: what is used can no longer be written down.") from error
            raise
        self._size += len(line)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._file)

    def _turn(self) -> None:
        fresh = self._open()
        os.close(self._file)
        self._file, self._size = fresh, 0

    def _open(self) -> int:
        # It is locked before it has its name: nobody takes it for one that was left behind.
        name = uuid.uuid4().hex
        partial = self._folder / f"{name}{PARTIAL}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(f"Usage cannot be written to {self._folder}: {error.strerror}.") from error
        fcntl.flock(file, fcntl.LOCK_EX)
        partial.rename(self._folder / f"{name}{SUFFIX}")
        return file
