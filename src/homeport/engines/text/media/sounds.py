"""Reads recordings for the model: known formats only, within limits, at the sample rate that its projector wants.

The format is detected by the first bytes, so FFmpeg never chooses a reader. Runs in the child process only. Knows
nothing of models.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from homeport.domain.errors import InvalidRequest

SOUND = "sound"
"""What a message to the process has in place of a picture's detail."""

MAX_SECONDS = 600
MAX_BYTES = 50_000_000

_STARTS = ((0, b"fLaC", "flac"), (8, b"WAVE", "wav"), (0, b"ID3", "mp3"))
_HEAD = 12
_FLOAT_BYTES = 4


def read_sound(file: Path, rate: int, param: str) -> bytes:
    """Return one channel of float32 samples at `rate` Hz.

    Raises InvalidRequest (`param`) for a file that is too large or too long, damaged, or of another format.
    """
    if file.stat().st_size > MAX_BYTES:
        raise _refusal(param, f"the file has more than {MAX_BYTES} bytes, which is the limit", "audio_too_large")
    with file.open("rb") as opened:
        format = _detect_format(opened.read(_HEAD))
    if format is None:
        reason = "the file is not a recording of a supported format (wav, mp3, flac)"
        raise _refusal(param, reason, "invalid_audio_format")
    return _decode(file, format, rate, param)


def _decode(file: Path, format: str, rate: int, param: str) -> bytes:
    import av  # a process that reads only pictures needs 30 MB less without it

    parts: list[bytes] = []
    try:
        with file.open("rb") as opened, av.open(opened, "r", format=format, metadata_errors="ignore") as media:
            size = 0
            for part in _resample(media, av.AudioResampler(format="flt", layout="mono", rate=rate)):
                parts.append(part)
                size += len(part)
                if size > MAX_SECONDS * rate * _FLOAT_BYTES:
                    reason = f"the recording is longer than {MAX_SECONDS} s, which is the limit"
                    raise _refusal(param, reason, "audio_too_long")
    except (av.FFmpegError, IndexError, ValueError, EOFError) as error:
        raise _refusal(param, "the recording is damaged or incomplete", "invalid_audio") from error
    if not any(parts):
        raise _refusal(param, "the recording is empty", "invalid_audio")
    return b"".join(parts)


def _resample(media: Any, resampler: Any) -> Iterator[bytes]:
    for frame in media.decode(audio=0):
        frame.pts = None  # gaps in the timestamps are ignored
        yield from map(_samples, resampler.resample(frame))
    yield from map(_samples, resampler.resample(None))


def _samples(part: Any) -> bytes:
    """Return a frame's samples, all finite: files of floats may contain anything. The plane may be longer."""
    samples = np.frombuffer(part.planes[0], np.float32, count=part.samples)
    return np.clip(np.nan_to_num(samples), -1, 1).astype(np.float32).tobytes()


def _detect_format(head: bytes) -> str | None:
    for offset, mark, name in _STARTS:
        if head[offset : offset + len(mark)] == mark:
            return name
    # An MPEG audio frame: eleven bits set, then a valid version and layer.
    is_frame = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 and head[1] & 0x18 != 8
    return "mp3" if is_frame else None


def _refusal(param: str, reason: str, code: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{param}': {reason}.", param=param, code=code)
