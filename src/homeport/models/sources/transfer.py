"""Downloads one file over HTTP into a partial file, resuming where it stopped. Knows nothing of any hub's client."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from homeport.domain.errors import Unavailable
from homeport.domain.operations import ProgressReporter
from homeport.models import disk

_ATTEMPTS = 5  # in a row without a new byte


class ConnectionLost(Exception):
    """The connection was lost; the bytes before that count."""


class ResponseBody(msgspec.Struct):
    """A response that has begun. `from_start`: it starts at the first byte, whatever was requested."""

    from_start: bool
    chunks: Iterator[bytes]


Open = Callable[[int], AbstractContextManager[ResponseBody]]
"""Requests the file from a byte on. Raises ConnectionLost if the connection is lost, before or during the body."""


def transfer(begin: Open, part: Path, size: int, progress: ProgressReporter, pause_s: float) -> None:
    """Fill `part` up to `size` bytes.

    Raises Unavailable if the hub repeatedly stops sending, or sends more than announced. A full disk and an interrupt
    leave `part` as it is, for the next run.
    """
    have = _length(part)
    if have > size:
        part.unlink()
        have = 0
    progress.advance(have)
    idle, furthest = 0, have
    while have < size:
        try:
            with begin(have) as body:
                if body.from_start and have:
                    progress.advance(-have)
                    have = 0
                _append(body, part, have, size, progress)
            reason = "the answer ended early"
        except ConnectionLost as cut:
            reason = str(cut) or "the connection broke"
        have = _length(part)
        if have >= size:
            return
        # Measured against the furthest point so far: a hub without range requests restarts each time.
        idle = 0 if have > furthest else idle + 1
        furthest = max(furthest, have)
        if idle >= _ATTEMPTS:
            raise Unavailable(
                f"The transfer of {part.name} stopped at {have} of {size} bytes ({reason}): rerun "
                "the command to resume."
            )
        progress.message(f"Interrupted ({reason}): resuming at byte {have}.")
        time.sleep(pause_s)


def _append(body: ResponseBody, part: Path, have: int, size: int, progress: ProgressReporter) -> None:
    with disk.translate_disk_full(part.parent), part.open("r+b" if have else "wb") as file:
        file.seek(have)
        for chunk in body.chunks:
            have += len(chunk)
            if have > size:
                file.truncate(0)
                raise Unavailable(f"The hub sent more than the announced {size} bytes: try again later.")
            file.write(chunk)
            progress.advance(len(chunk))


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
