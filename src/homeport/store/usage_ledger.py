"""What was used, written down at once: one line in a file for each request, before its last byte goes out.

A line that is written survives the end of the process, however it ends; once it is `kept`, a power cut too. `usage`
reads the lines into the database; where it stands in each file is kept there, in the same transaction, so that none is
counted twice or lost. Knows nothing of SQL.
"""

import asyncio
import fcntl
import logging
import os
import uuid
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from homeport.domain.errors import StorageFull, Unavailable
from homeport.domain.usage import UsageRecord
from homeport.formats import durable_files

SUFFIX = ".journal"
PARTIAL = ".partial"
_MAX_FILE_BYTES = 4_000_000
_WAIT_S = 0.05

_log = logging.getLogger("homeport.usage")


class FileUsageLedger:
    """This process's file in `folder`, and a new one whenever it has grown long. Its lock says that it is in use.

    `wait_s`: for how long an answer's end may wait until its line is on the disk.
    """

    def __init__(self, folder: Path, most_bytes: int = _MAX_FILE_BYTES, wait_s: float = _WAIT_S) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._wait_s = wait_s
        self._encoder = msgspec.json.Encoder()
        self._size = 0
        self._full: deque[int] = deque()  # files that have grown long and may not be on the disk yet
        self._is_named = False  # whether the name of the present file is on the disk
        self._syncing = ThreadPoolExecutor(1, "ledger")
        self._next: asyncio.Future[None] | None = None  # of those who wait for a sync that has not begun
        self._rounds: asyncio.Task[None] | None = None
        self._file = self._open()

    def write(self, record: UsageRecord) -> None:
        """Write a record down. Raises StorageFull; then it is not written."""
        line = self._encoder.encode(record) + b"\n"
        try:
            if self._size + len(line) > self._most_bytes and self._size:
                self._rotate()
            n_written = os.write(self._file, line)
            if n_written < len(line):
                os.ftruncate(self._file, self._size)
                raise OSError(durable_files.DISK_FULL_ERRNOS[0], os.strerror(durable_files.DISK_FULL_ERRNOS[0]))
        except OSError as error:
            if error.errno in durable_files.DISK_FULL_ERRNOS:
                raise StorageFull("The disk is full: what is used can no longer be written down.") from error
            raise
        self._size += len(line)

    async def kept(self) -> None:
        """Wait until what was written is on the disk, for `wait_s` at most. All who wait at one time share one sync."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        if self._rounds is None or self._rounds.done():
            self._rounds = asyncio.create_task(self._sync_rounds())
        await asyncio.wait((self._next,), timeout=self._wait_s)

    def close(self) -> None:
        """Let the file go, all of it on the disk."""
        self._syncing.shutdown()
        try:
            self._sync()
        except OSError as error:
            _log.error("the last usage may not survive a power cut: %s", error)
        os.close(self._file)

    async def _sync_rounds(self) -> None:
        loop = asyncio.get_running_loop()
        while (waiting := self._next) is not None:
            self._next = None
            try:
                await loop.run_in_executor(self._syncing, self._sync)
            except Exception:  # the line is written and will be read, unless the power goes first
                _log.exception("usage could not be synced to the disk")
            waiting.set_result(None)

    def _sync(self) -> None:
        """On the thread: have all that was written by now on the disk."""
        present = self._file  # looked at first: it may be followed by a new one at any moment
        is_closed = False
        while self._full:
            file = self._full.popleft()
            is_closed = is_closed or file == present
            try:
                durable_files.flush(file)
            finally:
                os.close(file)
        if not self._is_named:
            self._is_named = True
            durable_files.sync_path(self._folder)
        if not is_closed:
            durable_files.flush(present)

    def _rotate(self) -> None:
        try:
            fresh = self._open()
        except Unavailable as error:  # say, for want of file descriptors: what is written goes on in the long file
            _log.warning("%s", error)
            self._most_bytes += _MAX_FILE_BYTES
            return
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._full.append(self._file)
        self._file, self._size, self._is_named = fresh, 0, False

    def _open(self) -> int:
        # It is locked before it has its name: nobody takes it for one that was left behind.
        name = uuid.uuid4().hex
        partial = self._folder / f"{name}{PARTIAL}"
        try:
            durable_files.make_folder(self._folder)
            file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(f"Usage cannot be written to {self._folder}: {error.strerror}.") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            partial.rename(self._folder / f"{name}{SUFFIX}")
        except BaseException:
            os.close(file)
            raise
        return file
