"""Brings one file over HTTP into a partial file, going on where it stopped. Knows nothing of any hub's client."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from homeport.domain.errors import Unavailable
from homeport.domain.operations import ProgressReporter
from homeport.models import disk

_ATTEMPTS = 5  # in a row without one new byte


class ConnectionLost(Exception):
    """The connection broke; what came before it counts."""


class ResponseBody(msgspec.Struct):
    """An answer that has begun. `whole` says that it starts at the first byte, whatever was asked for."""

    from_start: bool
    chunks: Iterator[bytes]


Open = Callable[[int], AbstractContextManager[ResponseBody]]
"""Ask for the file from a byte on. Raises ConnectionLost where the connection breaks, before or while chunks come."""


def transfer(begin: Open, part: Path, size: int, progress: ProgressReporter, pause_s: float) -> None:
    """Fill `part` up to `size` bytes.

    Raises Unavailable where the hub stops sending for good or sends more than it announced. A full disk and
    an interrupt leave `part` as it is, for the next run.
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
        # Measured against the furthest point ever: a hub that knows no ranges starts anew each time.
        idle = 0 if have > furthest else idle + 1
        furthest = max(furthest, have)
        if idle >= _ATTEMPTS:
            raise Unavailable(
                f"The transfer of {part.name} stopped at {have} of {size} bytes ({reason}): run the "
                "same command again, it goes on from there."
            )
        progress.message(f"Interrupted ({reason}): going on at byte {have}.")
        time.sleep(pause_s)


def _append(body: ResponseBody, part: Path, have: int, size: int, progress: ProgressReporter) -> None:
    with disk.translate_disk_full(part.parent), part.open("r+b" if have else "wb") as file:
        file.seek(have)
        for chunk in body.chunks:
            have += len(chunk)
            if have > size:
                file.truncate(0)
                raise Unavailable(f"More bytes came than the {size} that were announced: try again later.")
            file.write(chunk)
            progress.advance(len(chunk))


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
