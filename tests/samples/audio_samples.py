"""Recordings for tests: speech from the speech model, tones, and files of every documented format from PyAV."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tests.conftest import home_folder
from tests.system.server import running

Samples = NDArray[np.float32]

RATE_HZ = 24_000
# By file name extension, as programs write them: FFmpeg's container and codec.
FORMATS = {
    "flac": ("flac", "flac"),
    "m4a": ("ipod", "aac"),
    "mp3": ("mp3", "libmp3lame"),
    "mp4": ("mp4", "aac"),
    "mpga": ("mp3", "libmp3lame"),
    "mpeg": ("mpeg", "mp2"),
    "oga": ("ogg", "flac"),
    "ogg": ("ogg", "libopus"),
    "wav": ("wav", "pcm_s16le"),
    "webm": ("webm", "libopus"),
}
ENGLISH = "The weather is nice today. We will walk to the river and eat lunch under the old bridge."
CHINESE = "今天天气很好，我们去公园散步吧。晚上我们一起吃饭。"
STORY = (
    "Ships have sailed from this harbour for three hundred years. Some of them carried salt, and others "
    "carried letters. The first lighthouse was built of wood, and it burned down in a storm. The second "
    "one was made of stone. It still stands on the hill above the town. Every evening a keeper climbed "
    "the stairs and lit the lamp. In winter the stairs were covered with ice. Nobody lives there now, "
    "because the lamp is electric. Visitors come in summer to see the view. They buy a postcard, drink a "
    "cup of tea, and walk back to the station before the last train leaves at half past nine."
)
"""Half a minute of English that does not repeat itself."""
_VOICES = {"en": "alloy", "zh": "zf_xiaoxiao"}


@cache
def spoken(text: str, language: str) -> Samples:
    """Return a text as the speech model reads it, at `RATE_HZ`. The result is cached in the data folder."""
    kept = home_folder() / "spoken" / f"{hashlib.sha256(f'{language} {text}'.encode()).hexdigest()[:16]}.flac"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = kept.with_suffix(f".{os.getpid()}")
        made.write_bytes(_said(text, _VOICES[language], made.with_suffix(".log")))
        made.replace(kept)
    return _read(kept)


def silence(seconds: float) -> Samples:
    """Return silence."""
    return np.zeros(int(seconds * RATE_HZ), np.float32)


def tone(seconds: float, hertz: float = 440.0) -> Samples:
    """Return a sine."""
    return (np.sin(np.arange(int(seconds * RATE_HZ)) * 2 * np.pi * hertz / RATE_HZ) * 0.4).astype(np.float32)


def encoded(samples: Samples, ending: str = "wav") -> bytes:
    """Encode these samples as a stereo file in one of the `FORMATS`."""
    container, codec = FORMATS[ending]
    target = io.BytesIO()
    with av.open(target, "w", format=container) as media:
        stream = media.add_stream(codec, rate=48_000, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        fifo = av.AudioFifo()
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=48_000)
        for frame in (*_frames(samples), None):
            for part in resampler.resample(frame):
                fifo.write(part)
            # Encoders accept only frames of their own size.
            size = stream.codec_context.frame_size or 1024
            while piece := fifo.read(size) or (fifo.read(size, partial=True) if frame is None else None):
                media.mux(stream.encode(piece))
        media.mux(stream.encode(None))
    made = target.getvalue()
    assert made, "nothing was encoded"
    return made


def _frames(samples: Samples) -> Iterator[av.AudioFrame]:
    """Yield frames of one second: FFmpeg refuses an hour at once."""
    for start in range(0, len(samples), RATE_HZ):
        frame = av.AudioFrame.from_ndarray(samples[start : start + RATE_HZ].reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE_HZ, Fraction(1, RATE_HZ), start
        yield frame


def errors(said: str, heard: str) -> float:
    """Return the share of words (in Chinese, of characters) that differ, without case and punctuation."""
    return error_rate(_units(said), _units(heard))


def error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Return the edit distance of two lists of units, per unit of the first."""
    row = list(range(len(heard) + 1))
    for i, one in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1] / len(said)


def _units(text: str) -> list[str]:
    plain = "".join(c if c.isalnum() else " " for c in text.lower())
    return plain.split() if plain.isascii() else list(plain.replace(" ", ""))


def _said(text: str, voice: str, log: Path) -> bytes:
    body = {"model": "tts-1", "input": text, "voice": voice, "response_format": "flac"}
    with running(log) as server:
        answer = server.call("POST", "/v1/audio/speech", body)
    assert answer.status == 200, answer.body
    return answer.body


def _read(file: Path) -> Samples:
    with av.open(str(file)) as media:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
        frames = [*media.decode(audio=0), None]
        parts = [part.to_ndarray().reshape(-1) for frame in frames for part in resampler.resample(frame)]
    return np.concatenate(parts).astype(np.float32)
