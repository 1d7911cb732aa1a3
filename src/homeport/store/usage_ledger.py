"""The usage ledger: one line in a file for each request, written before the end of its answer is sent.

A written line survives the end of the process, however it ends; once it is synced, a power cut too. `usage` imports the
lines into the database, which records in the same transaction how far it is in each file, so that none is counted twice
or lost. Knows nothing of SQL.
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
from homeport.formats import atomic, durable_files

SUFFIX = ".journal"
_MAX_FILE_BYTES = 4_000_000
_WAIT_S = 0.05

_log = logging.getLogger("homeport.usage")


class FileUsageLedger:
    """This process's file in `folder`, followed by a new one when it is large. Its lock shows that it is in use.

    `wait_s`: the longest time for which the end of an answer waits until its line is synced.
    """

    def __init__(self, folder: Path, max_bytes: int = _MAX_FILE_BYTES, wait_s: float = _WAIT_S) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._wait_s = wait_s
        self._encoder = msgspec.json.Encoder()
        self._size = 0
        self._full: deque[int] = deque()  # large files that may not be synced yet
        self._is_named = False  # whether the name of the current file is synced
        self._syncing = ThreadPoolExecutor(1, "ledger")
        self._next: asyncio.Future[None] | None = None  # of callers that wait for the next sync
        self._rounds: asyncio.Task[None] | None = None
        self._file = self._open()

    def write(self, record: UsageRecord) -> None:
        """Write a record. Raises StorageFull; then it is not written."""
        line = self._encoder.encode(record) + b"\n"
        try:
            if self._size + len(line) > self._max_bytes and self._size:
                self._rotate()
            n_written = os.write(self._file, line)
            if n_written < len(line):
                os.ftruncate(self._file, self._size)
                raise OSError(durable_files.DISK_FULL_ERRNOS[0], os.strerror(durable_files.DISK_FULL_ERRNOS[0]))
        except OSError as error:
            if error.errno in durable_files.DISK_FULL_ERRNOS:
                raise StorageFull("The disk is full, so usage cannot be recorded.") from error
            raise
        self._size += len(line)

    async def wait_synced(self) -> None:
        """Wait at most `wait_s` until everything written is synced. Concurrent callers share one sync."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        if self._rounds is None or self._rounds.done():
            self._rounds = asyncio.create_task(self._sync_rounds())
        await asyncio.wait((self._next,), timeout=self._wait_s)

    def close(self) -> None:
        """Sync and close the file."""
        self._syncing.shutdown()
        try:
            self._sync()
        except OSError as error:
            _log.error("the last usage is not synced and may not survive a power cut: %s", error)
        os.close(self._file)

    async def _sync_rounds(self) -> None:
        loop = asyncio.get_running_loop()
        while (waiting := self._next) is not None:
            self._next = None
            try:
                await loop.run_in_executor(self._syncing, self._sync)
            except Exception:  # the line is written, and is lost only by a power cut
                _log.exception("cannot sync usage to the disk")
            waiting.set_result(None)

    def _sync(self) -> None:
        """Sync everything written so far. Runs in the thread."""
        current = self._file  # read first, because another thread may replace it
        is_closed = False
        while self._full:
            file = self._full.popleft()
            is_closed = is_closed or file == current
            try:
                durable_files.flush(file)
            finally:
                os.close(file)
        if not self._is_named:
            self._is_named = True
            durable_files.sync_path(self._folder)
        if not is_closed:
            durable_files.flush(current)

    def _rotate(self) -> None:
        try:
            fresh = self._open()
        except Unavailable as error:  # for example without free file descriptors: continue with the large file
            _log.warning("%s", error)
            self._max_bytes += _MAX_FILE_BYTES
            return
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._full.append(self._file)
        self._file, self._size, self._is_named = fresh, 0, False

    def _open(self) -> int:
        # It is locked before it gets its name, so that no process treats it as abandoned.
        name = uuid.uuid4().hex
        partial = self._folder / f"{name}{atomic.PARTIAL}"
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
