"""The lock by which one server at a time uses a SQLite database: its limits are in memory."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from homeport.domain.errors import Unavailable
from homeport.formats import durable_files


class ServerLock:
    """A lock file, which holds the id of the process that has it. It ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self, database: str) -> None:
        """Take the lock of a database, which is named in the error. Raises Unavailable if another server has it."""
        try:
            durable_files.make_folder(self._path.parent)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(f"The file {self._path} cannot be written: {error.strerror}.") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(file, 20).decode("ascii", "replace").strip()
            os.close(file)
            raise Unavailable(
                f"Another server (process {owner or 'unknown'}) uses the database {database}. Give this one a home of "
                "its own, or use PostgreSQL for both (HOMEPORT_DATABASE_URL=postgresql://HOST/NAME), which several "
                "servers share."
            ) from error
        with suppress(OSError):  # a full disk: only the message of a second server has less to say
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Give up the lock. Safe to call twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
