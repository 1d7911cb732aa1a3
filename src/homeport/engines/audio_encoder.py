"""Encodes audio in one format while more of it is still being computed. Knows nothing of what computes it.

The bytes may be sent at once, so a header is never corrected afterwards. The same samples are always the same bytes.
"""

import io
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from homeport.domain.speech import AudioFormat

_PEAK = 0.99
_LAYOUTS = {1: "mono", 2: "stereo"}


class AudioProfile(NamedTuple):
    """What is encoded: samples a second, channels (1 or 2), and the bits a second of each lossy format."""

    rate: int
    channels: int
    bits_per_s: Mapping[AudioFormat, int]


class AudioEncoder(Protocol):
    """Encodes one audio stream. Samples are float32 in -1 to 1: `[n]`, or `[n, channels]`."""

    def feed(self, samples: NDArray[np.float32]) -> bytes:
        """Add samples; return the bytes that are ready, possibly none."""
        ...

    def end(self) -> bytes:
        """Return the remaining bytes."""
        ...


def encoder(format: AudioFormat, profile: AudioProfile) -> AudioEncoder:
    """Return an encoder for one audio stream."""
    return _RAW_ENCODERS[format](profile) if format in _RAW_ENCODERS else _CodecEncoder(format, profile)


class _Codec(NamedTuple):
    container: str
    codec: str
    options: Mapping[str, str] = {}
    rate: int | None = None


_CODECS: Mapping[AudioFormat, _Codec] = {
    # No Xing header and no ID3 tag, because both would be completed at the end.
    "mp3": _Codec("mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"}),
    # Without `bitexact` the stream's number is random. Opus knows no 44.1 kHz, and calls everything 48 kHz.
    "opus": _Codec("ogg", "libopus", {"page_duration": "200000", "fflags": "+bitexact"}, 48_000),
    "aac": _Codec("adts", "aac"),
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
    """Encodes with FFmpeg's libraries, which also convert between sample rates."""

    def __init__(self, format: AudioFormat, profile: AudioProfile) -> None:
        codec = _CODECS[format]
        self._rate = profile.rate
        self._layout = _LAYOUTS[profile.channels]
        self._sink = _Sink()
        self._container = av.open(self._sink, "w", format=codec.container, options=dict(codec.options))
        rate = codec.rate or profile.rate
        self._stream = cast("AudioStream", self._container.add_stream(codec.codec, rate=rate, layout=self._layout))
        if format in profile.bits_per_s:
            self._stream.bit_rate = profile.bits_per_s[format]
        self._samples = 0

    def feed(self, samples: NDArray[np.float32]) -> bytes:
        """Add samples; return the bytes that are ready."""
        if len(samples):
            frame = AudioFrame.from_ndarray(_to_int16(samples).reshape(1, -1), format="s16", layout=self._layout)
            frame.sample_rate = self._rate
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
    """Raw samples, 16 bits, little-endian, channels interleaved."""

    def feed(self, samples: NDArray[np.float32]) -> bytes:
        """Return the samples' bytes."""
        return _to_int16(samples).astype("<i2").tobytes()

    def end(self) -> bytes:
        """Return nothing."""
        return b""


class _Wav(_Pcm):
    """Raw samples after a header with the largest possible sizes, because the length is not known yet."""

    def __init__(self, profile: AudioProfile) -> None:
        self._header = _wav_header(profile)

    def feed(self, samples: NDArray[np.float32]) -> bytes:
        """Return the samples' bytes, the first time with the header."""
        header, self._header = self._header, b""
        return header + super().feed(samples)


_RAW_ENCODERS: Mapping[AudioFormat, Callable[[AudioProfile], AudioEncoder]] = {"pcm": lambda _: _Pcm(), "wav": _Wav}


def _wav_header(profile: AudioProfile) -> bytes:
    max_size = 0xFFFFFFFF
    frame_bytes = 2 * profile.channels
    sizes = (profile.channels, profile.rate, profile.rate * frame_bytes, frame_bytes, 16)
    format_chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, *sizes)
    return struct.pack("<4sI4s", b"RIFF", max_size, b"WAVE") + format_chunk + struct.pack("<4sI", b"data", max_size)


def _to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Convert to 16-bit samples; if they are too loud, all are scaled down, none is clipped."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    scaled = samples * (_PEAK / peak) if peak > _PEAK else samples
    return np.round(scaled * 32767).astype(np.int16)
