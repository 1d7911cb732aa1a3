"""Encodes audio in one format while more of it is still being computed. Knows nothing of synthesis.

The bytes may be sent at once, so a header is never corrected afterwards.
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
    """Encodes one audio stream."""

    def feed(self, samples: AudioSamples) -> bytes:
        """Add samples; return the bytes that are ready, possibly none."""
        ...

    def end(self) -> bytes:
        """Return the remaining bytes."""
        ...


def encoder(format: AudioFormat) -> AudioEncoder:
    """Return an encoder for one audio stream."""
    return _RAW_ENCODERS[format]() if format in _RAW_ENCODERS else _CodecEncoder(_CODECS[format])


class _Codec(NamedTuple):
    container: str
    codec: str
    bits_per_s: int | None = None
    options: Mapping[str, str] = {}


_CODECS: Mapping[AudioFormat, _Codec] = {
    # No Xing header and no ID3 tag, because both would be completed at the end.
    "mp3": _Codec("mp3", "libmp3lame", 64_000, {"write_xing": "0", "id3v2_version": "0"}),
    "opus": _Codec("ogg", "libopus", 32_000, {"page_duration": "200000"}),
    "aac": _Codec("adts", "aac", 64_000),
    "flac": _Codec("flac", "flac"),
}


class _Sink(io.RawIOBase):
    """Collects the container's bytes until they are taken. It cannot seek."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._buffer += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._buffer)
        self._buffer.clear()
        return data


class _CodecEncoder:
    """Encodes with FFmpeg's libraries."""

    def __init__(self, codec: _Codec) -> None:
        self._sink = _Sink()
        self._container = av.open(self._sink, "w", format=codec.container, options=dict(codec.options))
        self._stream = cast("AudioStream", self._container.add_stream(codec.codec, rate=RATE, layout="mono"))
        if codec.bits_per_s:
            self._stream.bit_rate = codec.bits_per_s
        self._samples = 0

    def feed(self, samples: AudioSamples) -> bytes:
        """Add samples; return the bytes that are ready."""
        if len(samples):
            frame = AudioFrame.from_ndarray(_to_int16(samples)[None], format="s16", layout="mono")
            frame.sample_rate = RATE
            frame.pts = self._samples
            self._samples += len(samples)
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        return self._sink.take()

    def end(self) -> bytes:
        """Return the remaining bytes."""
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()
        return self._sink.take()


class _Pcm:
    """Raw samples, 16 bits, little-endian."""

    def feed(self, samples: AudioSamples) -> bytes:
        """Return the samples' bytes."""
        return _to_int16(samples).astype("<i2").tobytes()

    def end(self) -> bytes:
        """Return nothing."""
        return b""


class _Wav(_Pcm):
    """Raw samples after a header with the largest possible sizes, because the length is not known yet."""

    def __init__(self) -> None:
        self._header = _wav_header()

    def feed(self, samples: AudioSamples) -> bytes:
        """Return the samples' bytes, the first time with the header."""
        header, self._header = self._header, b""
        return header + super().feed(samples)


_RAW_ENCODERS: Mapping[AudioFormat, Callable[[], AudioEncoder]] = {"pcm": _Pcm, "wav": _Wav}


def _wav_header() -> bytes:
    max_size = 0xFFFFFFFF
    format_chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", max_size, b"WAVE") + format_chunk + struct.pack("<4sI", b"data", max_size)


def _to_int16(samples: AudioSamples) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """Convert to 16-bit samples; if they are too loud, all are scaled down, none is clipped."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    scaled = samples * (_PEAK / peak) if peak > _PEAK else samples
    return np.round(scaled * 32767).astype(np.int16)
