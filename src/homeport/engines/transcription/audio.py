"""Reads a sound file of anybody's into samples: only formats that are known by their first bytes, within bounds.

The format is told by the content, never by the name, and FFmpeg is given no say in it: its readers of playlists would
open whatever address stands in one. A recording is never whole in memory: four hours of samples are a gigabyte. Knows
nothing of speech.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import av
import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import InvalidRequest

RATE_HZ = 16_000
PIECE_S = 10
MAX_DURATION_S = 4 * 3600
"""The longest recording that is taken: 25 MB can hold days of silence."""

AudioBlock = NDArray[np.float32]

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


class Recording:
    """A sound file, open. It may be read as often as one likes, also when its name is gone."""

    def __init__(self, file: IO[bytes], name: str, most_s: float) -> None:
        self._file = file
        self._name = name
        self._most_s = most_s

    def blocks(self) -> Iterator[AudioBlock]:
        """All samples in pieces of `PIECE_S`: one channel at `RATE_HZ`, between -1 and 1. At least one sample comes.

        Raises InvalidRequest where there is no sound, or so much as is not taken.
        """
        count, held, size = 0, [], 0
        for block in self._blocks():
            count += len(block)
            if count > self._most_s * RATE_HZ:
                raise InvalidRequest(
                    f"The audio is longer than {self._most_s / 60:.0f} minutes, the most that is taken at once: "
                    "cut it into parts.",
                    param="file",
                )
            held.append(block)
            size += len(block)
            if size >= PIECE_S * RATE_HZ:
                yield np.concatenate(held)
                held, size = [], 0
        if not count:
            raise InvalidRequest("The audio file holds no sound: it is empty or cut short.", param="file")
        if held:
            yield np.concatenate(held)

    def _blocks(self) -> Iterator[AudioBlock]:
        """Samples, as the decoder gives them."""
        self._file.seek(0)
        try:
            # Opened as an object, not by a path, and with the one reader its content asks for.
            with av.open(self._file, format=self._name, metadata_errors="ignore") as media:
                if not media.streams.audio:
                    raise InvalidRequest("The file has no sound in it.", param="file")
                yield from _resample(media)
        except (av.FFmpegError, ValueError, EOFError) as error:
            raise InvalidRequest(
                f"The audio file might be corrupted or unsupported: reading it as {self._name} fails "
                f"({_reason(error)}).",
                param="file",
            ) from error


@contextmanager
def open_recording(file: Path, most_s: float = MAX_DURATION_S) -> Iterator[Recording]:
    """Open a recording of at most `most_s` seconds. Raises InvalidRequest for a format that is not read here."""
    with file.open("rb") as source:
        name = container(source.read(_HEAD))
        if name is None:
            raise InvalidRequest(f"Invalid file format. Supported formats: {_FORMATS}.", param="file")
        yield Recording(source, name, most_s)


def _reason(error: Exception) -> str:
    """What is wrong, without the path that FFmpeg says it of."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _resample(media: Any) -> Iterator[AudioBlock]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    for frame in _decode(media):
        frame.pts = None  # recordings with holes in their times are read without them
        for part in resampler.resample(frame):
            yield _samples(part)
    for part in resampler.resample(None):
        yield _samples(part)


def _samples(part: Any) -> AudioBlock:
    """What a model may be given: files of floats hold whatever their program computed, no numbers among it."""
    found = np.nan_to_num(part.to_ndarray().reshape(-1).astype(np.float32, copy=False))
    return np.asarray(np.clip(found, -1, 1), np.float32)


def _decode(media: Any) -> Iterator[Any]:
    """Frames of the first audio stream. Some that are damaged are passed over, as players do; most of them are not."""
    good = bad = 0
    for packet in media.demux(media.streams.audio[0]):
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            bad += 1
            if bad > good + 1:
                raise
        else:
            good += 1
            yield from frames
