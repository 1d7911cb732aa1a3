"""Decodes an uploaded audio file to samples: known formats only, within limits.

The format is detected by the first bytes, never by the name, and not by FFmpeg, whose playlist readers would open any
URL in a file. A recording is never in memory as a whole: four hours of samples are a gigabyte. Knows nothing of speech.
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
"""The limit for a recording: 25 MB can hold days of silence."""

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


def detect_format(head: bytes) -> str | None:
    """Return FFmpeg's name of the format with these first bytes; None for an unsupported one."""
    for offset, mark, name in _STARTS:
        if head[offset : offset + len(mark)] == mark:
            return name
    # An MPEG audio frame: eleven bits set, then a valid version and layer.
    is_frame = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 and head[1] & 0x18 != 8
    return "mp3" if is_frame else None


class Recording:
    """An open audio file. It may be read several times, even after its name is deleted."""

    def __init__(self, file: IO[bytes], format: str, max_duration_s: float) -> None:
        self._file = file
        self._format = format
        self._max_duration_s = max_duration_s

    def blocks(self) -> Iterator[AudioBlock]:
        """Iterate over all samples in blocks of `PIECE_S`: one channel at `RATE_HZ`, between -1 and 1.

        Yields at least one sample. Raises InvalidRequest if there is no audio, or it is too long.
        """
        count, parts, size = 0, [], 0
        for part in self._frames():
            count += len(part)
            if count > self._max_duration_s * RATE_HZ:
                raise InvalidRequest(
                    f"The audio is longer than {_duration(self._max_duration_s)}, which is the limit: split it.",
                    param="file",
                )
            parts.append(part)
            size += len(part)
            if size >= PIECE_S * RATE_HZ:
                yield np.concatenate(parts)
                parts, size = [], 0
        if not count:
            raise InvalidRequest("The audio file has no audio: it is empty or incomplete.", param="file")
        if parts:
            yield np.concatenate(parts)

    def _frames(self) -> Iterator[AudioBlock]:
        """Iterate over samples in the decoder's frames."""
        self._file.seek(0)
        try:
            # Opened as an object, not by path, and with the reader for its detected format only.
            with av.open(self._file, format=self._format, metadata_errors="ignore") as media:
                if not media.streams.audio:
                    raise InvalidRequest("The file has no audio stream.", param="file")
                yield from _resample(media)
        except (av.FFmpegError, ValueError, EOFError) as error:
            raise InvalidRequest(
                f"The audio file might be corrupted or unsupported: reading it as {self._format} fails "
                f"({_reason(error)}).",
                param="file",
            ) from error


@contextmanager
def open_recording(file: Path, max_duration_s: float = MAX_DURATION_S) -> Iterator[Recording]:
    """Open a recording of at most `max_duration_s` seconds. Raises InvalidRequest for an unsupported format."""
    with file.open("rb") as source:
        format = detect_format(source.read(_HEAD))
        if format is None:
            raise InvalidRequest(f"Invalid file format. Supported formats: {_FORMATS}.", param="file")
        yield Recording(source, format, max_duration_s)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def _reason(error: Exception) -> str:
    """Return an error's text without the path that FFmpeg adds."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _resample(media: Any) -> Iterator[AudioBlock]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    for frame in _decode(media):
        frame.pts = None  # gaps in the timestamps are ignored
        for part in resampler.resample(frame):
            yield _samples(part)
    for part in resampler.resample(None):
        yield _samples(part)


def _samples(part: Any) -> AudioBlock:
    """Return valid samples: files of floats may contain anything, also NaN."""
    samples = np.nan_to_num(part.to_ndarray().reshape(-1).astype(np.float32, copy=False))
    return np.asarray(np.clip(samples, -1, 1), np.float32)


def _decode(media: Any) -> Iterator[Any]:
    """Iterate over frames of the first audio stream. Damaged ones are skipped, as in players, unless they are most."""
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
