"""Stores prefixes on disk, each in its own file with its tokens and saved KV, so that they survive a restart.

A folder serves one model. A file names the weights, kernels and release it is valid for; others and damaged ones are
deleted. Names are random and namespaces hashed, so a listing reveals nothing of the content; only the owner can read
the files. Over the size limit, the least recently used are deleted first. A thread of its own reads and writes; if it
fails, the prefix is computed again and the error is logged. Knows nothing of executors or requests.
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
MAX_PENDING_WRITES = 4  # each is held in memory until it is written
_LENGTH_BYTES = 4  # of the field that holds the header's length
_MAX_HEADER_BYTES = 1 << 24  # enough for some millions of tokens

logger = logging.getLogger("homeport.text")

OnLoaded = Callable[[str, bytes | None], None]


class _Header(msgspec.Struct, frozen=True, array_like=True):
    """The header before the KV. `tokens`: int32 in this machine's byte order; `checksum`: of tokens and KV."""

    identity: bytes
    namespace: bytes
    tokens: bytes
    size: int
    checksum: bytes


@dataclass(frozen=True, slots=True)
class StoredPrefix:
    """A prefix on disk. `size`: bytes of its file."""

    name: str
    namespace: bytes
    tokens: tuple[int, ...]
    size: int


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


class PrefixDiskStore:
    """The prefixes of one model. `identity`: describes all that their KV depends on; `limit`: bytes of all files.

    Raises OSError if the folder cannot be created or read. Any thread may call its methods.
    """

    def __init__(self, folder: Path, identity: str, limit: int) -> None:
        self._folder = folder
        self._identity = _digest(FORMAT, identity.encode(), sys.byteorder.encode())
        self._limit = limit
        self._changed = threading.Condition()
        self._prefixes: dict[str, StoredPrefix] = {}  # least recently used first
        self._reads: deque[tuple[StoredPrefix, OnLoaded]] = deque()
        self._writes: deque[tuple[bytes, tuple[int, ...], bytes]] = deque()
        self._is_busy = False
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="prefix-store", daemon=True)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._scan()

    @property
    def can_write(self) -> bool:
        """Whether one more prefix may be queued for writing."""
        with self._changed:
            return not self._closed and len(self._writes) < MAX_PENDING_WRITES

    def start(self) -> None:
        """Start the thread that reads and writes."""
        self._thread.start()

    def close(self) -> None:
        """Finish the queued writes and end the thread. Queued reads get no result."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is left to read or write; False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._reads or self._writes or self._is_busy), timeout_s)

    def find(self, namespace: Hashable, tokens: Sequence[int], limit: int) -> tuple[StoredPrefix, int] | None:
        """Return the prefix that shares most leading tokens (at most `limit`), the smallest of these, and how many."""
        digest = self._namespace_digest(namespace)
        best: tuple[StoredPrefix, int] | None = None
        wanted = tuple(tokens[:limit])
        with self._changed:
            for prefix in self._prefixes.values():
                if prefix.namespace != digest:
                    continue
                length = common_length(prefix.tokens, wanted, limit)
                if length and (best is None or (length, -prefix.size) > (best[1], -best[0].size)):
                    best = prefix, length
        return best

    def read_later(self, prefix: StoredPrefix, on_loaded: OnLoaded) -> None:
        """Queue a read of a prefix's KV. The thread calls `on_loaded` with name and bytes, None if it is unreadable."""
        with self._changed:
            self._reads.append((prefix, on_loaded))
            self._changed.notify_all()

    def write_later(self, namespace: Hashable, tokens: Sequence[int], state: bytes) -> None:
        """Queue a write of a prefix. One that exceeds the limit of all files is not stored."""
        with self._changed:
            self._writes.append((self._namespace_digest(namespace), tuple(tokens), state))
            self._changed.notify_all()

    def discard(self, name: str) -> None:
        """Delete a prefix that cannot be used."""
        with self._changed:
            self._prefixes.pop(name, None)
        self._unlink(self._folder / name)

    def _namespace_digest(self, namespace: Hashable) -> bytes:
        return _digest(self._identity, msgspec.msgpack.encode(namespace))

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._reads or self._writes or self._closed)
                if self._closed and not self._writes:
                    return
                self._is_busy = True
                read = self._reads.popleft() if self._reads and not self._closed else None
                write = self._writes.popleft() if read is None else None
            try:
                if read is not None:
                    prefix, on_loaded = read
                    on_loaded(prefix.name, self._read_safely(prefix))
                elif write is not None:
                    self._write(*write)
            except Exception:  # whatever the error, the next reads must get a result
                logger.exception("a prefix could not be stored")
            finally:
                with self._changed:
                    self._is_busy = False
                    self._changed.notify_all()

    def _read_safely(self, prefix: StoredPrefix) -> bytes | None:
        try:
            return self._read(prefix)
        except Exception:
            logger.exception("a stored prefix could not be read")
            return None

    def _read(self, prefix: StoredPrefix) -> bytes | None:
        path = self._folder / prefix.name
        try:
            with _open(path, os.O_RDONLY) as file:
                header = _header(file.read(len(FORMAT) + _LENGTH_BYTES), file.read)
                state = file.read()
            os.utime(path)
        except (OSError, ValueError) as error:
            logger.warning("a stored prefix cannot be read: %s", error)
            self.discard(prefix.name)
            return None
        tokens = array("i", prefix.tokens).tobytes()
        is_intact = header.tokens == tokens and header.checksum == _digest(tokens, state)
        if not is_intact or (header.identity, header.namespace) != (self._identity, prefix.namespace):
            logger.warning("a stored prefix is damaged and is deleted")
            self.discard(prefix.name)
            return None
        with self._changed:
            if prefix.name in self._prefixes:  # now the most recently used
                self._prefixes[prefix.name] = self._prefixes.pop(prefix.name)
        return state

    def _write(self, namespace: bytes, tokens: tuple[int, ...], state: bytes) -> None:
        token_bytes = array("i", tokens).tobytes()
        checksum = _digest(token_bytes, state)
        header = msgspec.msgpack.encode(_Header(self._identity, namespace, token_bytes, len(state), checksum))
        head = FORMAT + len(header).to_bytes(_LENGTH_BYTES, "little") + header
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
            logger.warning("a prefix cannot be stored on disk: %s", error.strerror)
            return
        with self._changed:
            self._prefixes[name] = StoredPrefix(name, namespace, tokens, size)

    def _shrink(self, limit: int) -> None:
        """Delete the least recently used prefixes until all files have at most `limit` bytes."""
        while True:
            with self._changed:
                if sum(prefix.size for prefix in self._prefixes.values()) <= limit:
                    return
                name = next(iter(self._prefixes))
            self.discard(name)

    def _scan(self) -> None:
        """Load entries left by an earlier run and delete unusable ones. Files with other suffixes are left alone."""
        usable: list[tuple[float, StoredPrefix]] = []
        for path in self._folder.iterdir():
            if path.name.endswith(SUFFIX + _PART):
                self._unlink(path)
            elif path.name.endswith(SUFFIX):
                try:
                    usable.append(self._inspect(path))
                except (OSError, ValueError):
                    self._unlink(path)
        self._prefixes = {prefix.name: prefix for _, prefix in sorted(usable, key=lambda pair: pair[0])}
        self._shrink(self._limit)

    def _inspect(self, path: Path) -> tuple[float, StoredPrefix]:
        """Return when a file was last used, and its prefix. Raises OSError or ValueError if it cannot be used."""
        with _open(path, os.O_RDONLY) as file:
            file_stat = os.fstat(file.fileno())
            header = _header(file.read(len(FORMAT) + _LENGTH_BYTES), file.read)
            state_start = file.tell()
        if header.identity != self._identity or file_stat.st_size != state_start + header.size:
            raise ValueError("a prefix of another model, or an incomplete one")
        tokens = tuple(array("i", header.tokens))
        return file_stat.st_mtime, StoredPrefix(path.name, header.namespace, tokens, file_stat.st_size)

    def _unlink(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("a stored prefix cannot be deleted: %s", error.strerror)


def _open(path: Path, flags: int) -> BinaryIO:
    """Open a regular file of this user, not a symbolic link, with access for this user only. Raises OSError."""
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    file_stat = os.fstat(handle)
    if not stat.S_ISREG(file_stat.st_mode) or file_stat.st_uid != os.geteuid():
        os.close(handle)
        raise PermissionError("not a file of this user")
    return os.fdopen(handle, "wb" if flags & os.O_WRONLY else "rb")


def _header(first: bytes, read: Callable[[int], bytes]) -> _Header:
    """Return the header of a file that begins with `first`. Raises ValueError if it has none."""
    length = int.from_bytes(first[len(FORMAT) :], "little")
    if first[: len(FORMAT)] != FORMAT or len(first) != len(FORMAT) + _LENGTH_BYTES or length > _MAX_HEADER_BYTES:
        raise ValueError("not a prefix file")
    try:
        header = msgspec.msgpack.decode(read(length), type=_Header)
    except msgspec.DecodeError as error:
        raise ValueError("not a prefix file") from error
    if len(header.tokens) % array("i").itemsize:
        raise ValueError("not a prefix file")
    return header
