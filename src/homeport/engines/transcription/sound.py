"""Reads a sound file of anybody's into samples: only formats that are known by their first bytes, within bounds.

The format is told by the content, never by the name, and FFmpeg is given no say in it: its readers of playlists would
open whatever address stands in one. Knows nothing of speech.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import InvalidRequest

RATE_HZ = 16_000
MOST_S = 4 * 3600
"""The longest recording that is taken: 25 MB can hold more, and its samples would fill the memory."""

Samples = NDArray[np.float32]

_FORMATS = "flac, m4a, mp3, mp4, mpeg, mpga, oga, ogg, wav, webm"
_HEAD = 12
_STARTS = (
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (8, b"WAVE", "wav"),
    (4, b"ftyp", "mov"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (0, b"\x00\x00\x01\xba", "mpeg"),
    (0, b"ID3", "mp3"),
)


def container(head: bytes) -> str | None:
    """FFmpeg's name of the format that a file with these first bytes has; None for one that is not read here."""
    for place, mark, name in _STARTS:
        if head[place : place + len(mark)] == mark:
            return name
    # An MPEG audio frame: eleven bits set, then a version and a layer that exist.
    is_frame = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 and head[1] & 0x18 != 8
    return "mp3" if is_frame else None


def read(file: Path, *, is_cancelled: Callable[[], bool] = lambda: False, most_s: float = MOST_S) -> Samples:
    """All samples, one channel at `RATE_HZ`, between -1 and 1. Cancelled, it stops early.

    Raises InvalidRequest for what is no sound, is damaged, or is longer than `most_s`.
    """
    with file.open("rb") as opened:
        name = container(opened.read(_HEAD))
    if name is None:
        raise InvalidRequest(f"Invalid file format. Supported formats: {_FORMATS}.", param="file")
    blocks: list[Samples] = []
    count = 0
    try:
        # Opened as an object, not by a path, and with the one reader its content asks for.
        with file.open("rb") as opened, av.open(opened, format=name, metadata_errors="ignore") as media:
            if not media.streams.audio:
                raise InvalidRequest("The file has no sound in it.", param="file")
            for block in _resampled(media):
                blocks.append(block)
                count += len(block)
                if count > most_s * RATE_HZ:
                    raise InvalidRequest(
                        f"The audio is longer than {most_s / 60:.0f} minutes, the most that is taken at once: "
                        "cut it into parts.",
                        param="file",
                    )
                if is_cancelled():
                    break
    except (av.FFmpegError, ValueError, EOFError) as error:
        raise InvalidRequest(
            f"The audio file might be corrupted or unsupported: reading it as {name} fails ({_reason(error)}).",
            param="file",
        ) from error
    if not count:
        raise InvalidRequest("The audio file holds no sound: it is empty or cut short.", param="file")
    return np.concatenate(blocks)


def _reason(error: Exception) -> str:
    """What is wrong, without the path that FFmpeg says it of."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _resampled(media: Any) -> Any:
    """Blocks of samples, as the decoder gives them."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    for frame in media.decode(media.streams.audio[0]):
        frame.pts = None  # recordings with holes in their times are read without them
        for part in resampler.resample(frame):
            yield part.to_ndarray().reshape(-1).astype(np.float32, copy=False)
    for part in resampler.resample(None):
        yield part.to_ndarray().reshape(-1).astype(np.float32, copy=False)
