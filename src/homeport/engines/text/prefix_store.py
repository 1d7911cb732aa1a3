"""Prefixes on disk: the tokens and the saved KV of each in a file of its own, found again after a restart.

A folder serves one model. A file says for which weights, kernels and release it holds; others are removed, as are
broken ones. Names are random and namespaces hashed, so that a listing tells nothing of what is inside; the files are
their owner's alone. What does not fit goes least recently used first. Reading and writing happen on a thread of its
own; where they fail, a prefix is computed again and the log says why. Knows nothing of executors or requests.
"""

import hashlib
import logging
import os
import secrets
import stat
import sys
import threading
from array import array
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from homeport.engines.text.prefix_tree import common_length
from homeport.formats import atomic

FORMAT = b"homeport prefix 1\n"
SUFFIX, _PART = ".prefix", ".part"
WRITES = 4  # prefixes that may wait to be written: each is held in memory until then
_COUNT = 4  # bytes of the header's length
_MAX_HEADER_BYTES = 1 << 24  # bytes of a header: some millions of tokens

logger = logging.getLogger("homeport.text")

OnLoaded = Callable[[str, bytes | None], None]


class _Header(msgspec.Struct, frozen=True, array_like=True):
    """What stands before the KV. `tokens`: int32 in this machine's order; `checksum`: of tokens and KV."""

    identity: bytes
    namespace: bytes
    tokens: bytes
    size: int
    checksum: bytes


@dataclass(frozen=True, slots=True)
class StoredPrefix:
    """A prefix on disk. `size`: of its file, in bytes."""

    name: str
    namespace: bytes
    tokens: tuple[int, ...]
    size: int


def _digest(*parts: bytes) -> bytes:
    mixed = hashlib.blake2b(digest_size=32)
    for part in parts:
        mixed.update(len(part).to_bytes(8, "little"))
        mixed.update(part)
    return mixed.digest()


class PrefixStore:
    """The prefixes of one model. `identity`: all that their KV depends on, in words; `limit`: bytes of all files.

    Raises OSError where the folder cannot be made or read. Any thread may call.
    """

    def __init__(self, folder: Path, identity: str, limit: int) -> None:
        self._folder = folder
        self._identity = _digest(FORMAT, identity.encode(), sys.byteorder.encode())
        self._limit = limit
        self._changed = threading.Condition()
        self._kept: dict[str, StoredPrefix] = {}  # least recently used first
        self._reads: deque[tuple[StoredPrefix, OnLoaded]] = deque()
        self._writes: deque[tuple[bytes, tuple[int, ...], bytes]] = deque()
        self._writing = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="shelf", daemon=True)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._scan()

    @property
    def can_keep(self) -> bool:
        """Whether one more prefix may be handed over now."""
        with self._changed:
            return not self._closed and len(self._writes) < WRITES

    def start(self) -> None:
        """Begin to read and write."""
        self._thread.start()

    def close(self) -> None:
        """Write what was handed over, then end. Reads still waiting are not answered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is left to read or write; False where that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._reads or self._writes or self._writing), timeout_s)

    def find(self, namespace: Hashable, tokens: Sequence[int], limit: int) -> tuple[StoredPrefix, int] | None:
        """The prefix that shares most with `tokens` (at most `limit`, a length), the shortest of such, and how much."""
        name = self._namespace_digest(namespace)
        best: tuple[StoredPrefix, int] | None = None
        asked = tuple(tokens[:limit])
        with self._changed:
            for kept in self._kept.values():
                if kept.namespace != name:
                    continue
                length = common_length(kept.tokens, asked, limit)
                if length and (best is None or (length, -kept.size) > (best[1], -best[0].size)):
                    best = kept, length
        return best

    def read_later(self, prefix: StoredPrefix, on_loaded: OnLoaded) -> None:
        """Read a prefix's KV: `tell` gets its name and the bytes, or None where they are lost, on another thread."""
        with self._changed:
            self._reads.append((prefix, on_loaded))
            self._changed.notify_all()

    def write_later(self, namespace: Hashable, tokens: Sequence[int], state: bytes) -> None:
        """Write a prefix when there is time. One that is larger than the whole shelf may be is not kept."""
        with self._changed:
            self._writes.append((self._namespace_digest(namespace), tuple(tokens), state))
            self._changed.notify_all()

    def discard(self, name: str) -> None:
        """Remove a prefix, as it is of no use."""
        with self._changed:
            self._kept.pop(name, None)
        self._unlink(self._folder / name)

    def _namespace_digest(self, namespace: Hashable) -> bytes:
        return _digest(self._identity, msgspec.msgpack.encode(namespace))

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._reads or self._writes or self._closed)
                if self._closed and not self._writes:
                    return
                self._writing = 1
                read = self._reads.popleft() if self._reads and not self._closed else None
                write = self._writes.popleft() if read is None else None
            try:
                if read is not None:
                    kept, tell = read
                    tell(kept.name, self._read_safely(kept))
                elif write is not None:
                    self._write(*write)
            except Exception:  # whatever it is, those who wait for the next ones are to be answered
                logger.exception("a prefix could not be kept")
            finally:
                with self._changed:
                    self._writing = 0
                    self._changed.notify_all()

    def _read_safely(self, kept: StoredPrefix) -> bytes | None:
        try:
            return self._read(kept)
        except Exception:
            logger.exception("a kept prefix could not be read")
            return None

    def _read(self, kept: StoredPrefix) -> bytes | None:
        path = self._folder / kept.name
        try:
            with _open(path, os.O_RDONLY) as file:
                header = _header(file.read(len(FORMAT) + _COUNT), file.read)
                state = file.read()
            os.utime(path)
        except (OSError, ValueError) as error:
            logger.warning("a kept prefix cannot be read: %s", error)
            self.discard(kept.name)
            return None
        tokens = array("i", kept.tokens).tobytes()
        is_whole = header.tokens == tokens and header.checksum == _digest(tokens, state)
        if not is_whole or (header.identity, header.namespace) != (self._identity, kept.namespace):
            logger.warning("a kept prefix is damaged and is removed")
            self.discard(kept.name)
            return None
        with self._changed:
            if kept.name in self._kept:  # used just now
                self._kept[kept.name] = self._kept.pop(kept.name)
        return state

    def _write(self, namespace: bytes, tokens: tuple[int, ...], state: bytes) -> None:
        written = array("i", tokens).tobytes()
        checksum = _digest(written, state)
        header = msgspec.msgpack.encode(_Header(self._identity, namespace, written, len(state), checksum))
        head = FORMAT + len(header).to_bytes(_COUNT, "little") + header
        size = len(head) + len(state)
        if size > self._limit:
            return
        self._shrink(self._limit - size)
        name = secrets.token_hex(16) + SUFFIX
        try:
            with (
                atomic.replace_file(self._folder / name, is_durable=False, suffix=_PART) as partial,
                _open(partial, os.O_WRONLY) as file,
            ):
                file.write(head)
                file.write(state)
        except OSError as error:
            logger.warning("a prefix cannot be kept on disk: %s", error.strerror)
            return
        with self._changed:
            self._kept[name] = StoredPrefix(name, namespace, tokens, size)

    def _shrink(self, limit: int) -> None:
        """Remove the least recently used until all take no more than `limit` bytes."""
        while True:
            with self._changed:
                if sum(kept.size for kept in self._kept.values()) <= limit:
                    return
                name = next(iter(self._kept))
            self.discard(name)

    def _scan(self) -> None:
        """See what an earlier run left, and remove what cannot be used. Only files with our endings are touched."""
        found: list[tuple[float, StoredPrefix]] = []
        for path in self._folder.iterdir():
            if path.name.endswith(SUFFIX + _PART):
                self._unlink(path)
            elif path.name.endswith(SUFFIX):
                try:
                    found.append(self._inspect(path))
                except (OSError, ValueError):
                    self._unlink(path)
        self._kept = {kept.name: kept for _, kept in sorted(found, key=lambda pair: pair[0])}
        self._shrink(self._limit)

    def _inspect(self, path: Path) -> tuple[float, StoredPrefix]:
        """When a file was used last, and what it holds. Raises OSError or ValueError for one that is none of ours."""
        with _open(path, os.O_RDONLY) as file:
            about = os.fstat(file.fileno())
            header = _header(file.read(len(FORMAT) + _COUNT), file.read)
            ahead = file.tell()
        if header.identity != self._identity or about.st_size != ahead + header.size:
            raise ValueError("a prefix of another model, or a part of one")
        return about.st_mtime, StoredPrefix(
            path.name, header.namespace, tuple(array("i", header.tokens)), about.st_size
        )

    def _unlink(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("a kept prefix cannot be removed: %s", error.strerror)


def _open(path: Path, flags: int) -> BinaryIO:
    """Open a regular file of this user's, no link to another, with nobody else allowed in. Raises OSError."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
        os.close(handle)
        raise PermissionError("not a file of this user's")
    return os.fdopen(handle, "wb" if flags & os.O_WRONLY else "rb")


def _header(first: bytes, read: Callable[[int], bytes]) -> _Header:
    """The header of a file that begins with `first`. Raises ValueError where it is none."""
    count = int.from_bytes(first[len(FORMAT) :], "little")
    if first[: len(FORMAT)] != FORMAT or len(first) != len(FORMAT) + _COUNT or count > _MAX_HEADER_BYTES:
        raise ValueError("no prefix")
    try:
        header = msgspec.msgpack.decode(read(count), type=_Header)
    except msgspec.DecodeError as error:
        raise ValueError("no prefix") from error
    if len(header.tokens) % array("i").itemsize:
        raise ValueError("no prefix")
    return header
