"""Sound as bytes of one format, given out while more is still to come. Knows nothing of how sound is made.

What a player must know stands at the beginning, and nothing is corrected there afterwards: the bytes may be on their
way already.
"""

import io
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from homeport.domain.speech import AudioFormat
from homeport.engines.speech.kokoro import RATE, AudioSamples

_PEAK = 0.99


class AudioEncoder(Protocol):
    """One sound being encoded."""

    def feed(self, sound: AudioSamples) -> bytes:
        """Take more sound; give the bytes that are ready, perhaps none."""
        ...

    def end(self) -> bytes:
        """Give the rest."""
        ...


def encoder(format: AudioFormat) -> AudioEncoder:
    """An encoder for one sound."""
    return _RAW_ENCODERS[format]() if format in _RAW_ENCODERS else _Coded(_CODECS[format])


class _Codec(NamedTuple):
    container: str
    codec: str
    bits_per_s: int | None = None
    options: Mapping[str, str] = {}


_CODECS: Mapping[AudioFormat, _Codec] = {
    # No Xing header and no ID3 tag: both would be filled in at the end.
    "mp3": _Codec("mp3", "libmp3lame", 64_000, {"write_xing": "0", "id3v2_version": "0"}),
    "opus": _Codec("ogg", "libopus", 32_000, {"page_duration": "200000"}),
    "aac": _Codec("adts", "aac", 64_000),
    "flac": _Codec("flac", "flac"),
}


class _Sink(io.RawIOBase):
    """Where the container's bytes go until they are taken. It cannot seek."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._held += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken


class _Coded:
    """Through FFmpeg's libraries."""

    def __init__(self, codec: _Codec) -> None:
        self._sink = _Sink()
        self._container = av.open(self._sink, "w", format=codec.container, options=dict(codec.options))
        self._stream = cast("AudioStream", self._container.add_stream(codec.codec, rate=RATE, layout="mono"))
        if codec.bits_per_s:
            self._stream.bit_rate = codec.bits_per_s
        self._samples = 0

    def feed(self, sound: AudioSamples) -> bytes:
        """Take more sound; give the bytes that are ready."""
        if len(sound):
            frame = AudioFrame.from_ndarray(_to_int16(sound)[None], format="s16", layout="mono")
            frame.sample_rate = RATE
            frame.pts = self._samples
            self._samples += len(sound)
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        return self._sink.take()

    def end(self) -> bytes:
        """Give the rest."""
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()
        return self._sink.take()


class _Pcm:
    """Bare samples, 16 bits, little-endian."""

    def feed(self, sound: AudioSamples) -> bytes:
        """Give the sound's samples."""
        return _to_int16(sound).astype("<i2").tobytes()

    def end(self) -> bytes:
        """Give nothing more."""
        return b""


class _Wav(_Pcm):
    """The same behind a header that says `as long as it lasts`: its sizes are the largest there are."""

    def __init__(self) -> None:
        self._header = _wav_header()

    def feed(self, sound: AudioSamples) -> bytes:
        """Give the sound's samples, the first time behind the header."""
        header, self._header = self._header, b""
        return header + super().feed(sound)


_RAW_ENCODERS: Mapping[AudioFormat, Callable[[], AudioEncoder]] = {"pcm": _Pcm, "wav": _Wav}


def _wav_header() -> bytes:
    most = 0xFFFFFFFF
    described = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", most, b"WAVE") + described + struct.pack("<4sI", b"data", most)


def _to_int16(sound: AudioSamples) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """As 16-bit samples; one that is too loud is made quieter as a whole, never cut."""
    peak = float(np.max(np.abs(sound), initial=0.0))
    quieter = sound * (_PEAK / peak) if peak > _PEAK else sound
    return np.round(quieter * 32767).astype(np.int16)
