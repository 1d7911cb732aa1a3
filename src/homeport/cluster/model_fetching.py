"""Copies a model's files from another node: in ranges, resumed, and kept only if their SHA-256 is right.

Knows nothing of Ray: a `ReadRange` is what reads a part of a file elsewhere.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from homeport.cluster.model_description import ModelFile
from homeport.domain.errors import Unavailable

RANGE_BYTES = 8 << 20
"""What is read at once. Two ranges are in memory at a time."""

ReadRange = Callable[[str, int, int], Awaitable[bytes]]
"""Reads from a file, by its name in the model's folder: offset and size in bytes. Less only at the file's end."""

_log = logging.getLogger(__name__)


async def fetch_file(file: ModelFile, folder: Path, read: ReadRange) -> None:
    """Complete `file` in `folder`, after what an earlier attempt left of it.

    Raises Unavailable if what arrives is not the file; the partial file is then deleted. Whatever `read` raises, what
    has arrived stays for the next attempt.
    """
    if _size(folder / file.name) == file.size:
        return
    part = folder / f"{file.name}.part"
    size = await _append(file, part, read)
    digest = await asyncio.to_thread(_sha256, part)
    if (size, digest) != (file.size, file.sha256):
        part.unlink()
        raise Unavailable(f"{file.name} arrived with {size} bytes or a SHA-256 that it does not have.")
    part.replace(folder / file.name)


async def _append(file: ModelFile, part: Path, read: ReadRange) -> int:
    """Read what is missing, the next range while the last one is written; return the size."""
    offset = _size(part) or 0
    if offset:
        _log.info("%s continues after %d of %d bytes", file.name, offset, file.size)
    with await asyncio.to_thread(part.open, "ab") as stream:
        pending = asyncio.ensure_future(_read_range(file, offset, read))
        try:
            while data := await pending:
                offset += len(data)
                pending = asyncio.ensure_future(_read_range(file, offset, read))
                await asyncio.to_thread(stream.write, data)
        finally:
            pending.cancel()
        stream.flush()
        await asyncio.to_thread(os.fsync, stream.fileno())
    return offset


async def _read_range(file: ModelFile, offset: int, read: ReadRange) -> bytes:
    size = min(RANGE_BYTES, file.size - offset)
    return await read(file.name, offset, size) if size > 0 else b""


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
