"""Unusual and broken sound files, generated here, so no file belongs to anyone else.

`HEARD` must be transcribed, `REFUSED` must be refused; `EITHER` may be either, but never an internal error.
"""

import io
import struct
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

SECONDS = 0.5
PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
Make = Callable[[], bytes]


def tone(rate: int = 16_000, channels: int = 1, seconds: float = SECONDS) -> NDArray[np.float64]:
    """Return a sine, frames by channels, between -0.4 and 0.4."""
    wave = np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 440 / rate) * 0.4
    return np.repeat(wave[:, None], channels, 1)


def wav(sound: bytes, *, tag: int = PCM, bits: int = 16, rate: int = 16_000, channels: int = 1, **wrong: Any) -> bytes:
    """Build a WAV file. `wrong`: values of `riff_size`, `data_size`, `align`, and bytes `before` the data."""
    align = int(wrong.get("align", channels * bits // 8))
    shape = struct.pack("<HHIIHH", tag, channels % 65536, rate, rate * align % 2**32, align, bits)
    if tag == EXTENSIBLE:
        guid = struct.pack("<H", PCM) + bytes.fromhex("000000001000800000aa00389b71")
        shape += struct.pack("<HHI", 22, bits, (1 << channels) - 1) + guid
    chunks = b"fmt " + struct.pack("<I", len(shape)) + shape + bytes(wrong.get("before", b""))
    chunks += b"data" + struct.pack("<I", int(wrong.get("data_size", len(sound)))) + sound
    return b"RIFF" + struct.pack("<I", int(wrong.get("riff_size", 4 + len(chunks)))) + b"WAVE" + chunks


def _pcm(bits: int = 16, rate: int = 16_000, channels: int = 1, **wrong: Any) -> bytes:
    wave = tone(rate, channels)
    if bits == 8:
        sound = ((wave * 127) + 128).astype(np.uint8).tobytes()
    else:
        sound = b"".join(
            int(value * (2 ** (bits - 1) - 1)).to_bytes(bits // 8, "little", signed=True) for value in wave.reshape(-1)
        )
    return wav(sound, bits=bits, rate=rate, channels=channels, **wrong)


def _float(kind: str, scale: float = 1.0, *, holes: bool = False) -> bytes:
    wave = (tone() * scale).astype(kind)
    if holes:
        wave[100:200], wave[300:310] = np.nan, np.inf
    return wav(wave.tobytes(), tag=FLOAT, bits=wave.itemsize * 8)


def _encoded(container: str, codec: str, rate: int = 48_000, **options: str) -> bytes:
    """Encode to a target that cannot seek, so that the header has no length."""
    target = _Pipe()
    with av.open(target, "w", format=container, options=options) as media:
        stream: Any = media.add_stream(codec, rate=rate, layout="mono")
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate, frame_size=size)
        frame = av.AudioFrame.from_ndarray(tone(rate).astype(np.float32).T.copy(), format="flt", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            media.mux(stream.encode(part))
        media.mux(stream.encode(None))
    return b"".join(target.parts)


class _Pipe(io.RawIOBase):
    """A file that can be written and cannot seek."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(data)


def _fragmented() -> bytes:
    return _encoded("mp4", "aac", movflags="frag_keyframe+empty_moov+default_base_moof")


def _cut(make: Make, share: float) -> bytes:
    data = make()
    return data[: int(len(data) * share)]


_mp3 = partial(_encoded, "mp3", "libmp3lame", write_xing="0")
_ogg = partial(_encoded, "ogg", "libopus")
_webm = partial(_encoded, "webm", "libopus", live="1")
_flac = partial(_encoded, "flac", "flac")

HEARD: Mapping[str, Make] = {
    "8 bit.wav": partial(_pcm, 8),
    "24 bit.wav": partial(_pcm, 24),
    "32 bit.wav": partial(_pcm, 32),
    "8 kHz.wav": partial(_pcm, rate=8_000),
    "96 kHz.wav": partial(_pcm, rate=96_000),
    "192 kHz.wav": partial(_pcm, rate=192_000),
    "6 channels.wav": partial(_pcm, channels=6),
    "extensible.wav": lambda: wav((tone() * 32767).astype("<i2").tobytes(), tag=EXTENSIBLE),
    "float32.wav": partial(_float, "<f4"),
    "float64.wav": partial(_float, "<f8"),
    "float far too loud.wav": partial(_float, "<f4", 1e30),
    "float with NaN.wav": partial(_float, "<f4", holes=True),
    "A-law.wav": lambda: wav(bytes(range(256)) * 32, tag=A_LAW, bits=8, rate=8_000),
    "mu-law.wav": lambda: wav(bytes(range(256)) * 32, tag=MU_LAW, bits=8, rate=8_000),
    "size of a stream.wav": partial(_pcm, riff_size=0xFFFFFFFF, data_size=0xFFFFFFFF),
    "size beyond the file.wav": partial(_pcm, data_size=10**6),
    "size of the whole wrong.wav": partial(_pcm, riff_size=0),
    "size odd.wav": partial(_pcm, data_size=15_999),
    "a list before the data.wav": partial(_pcm, before=b"LIST" + struct.pack("<I", 4) + b"INFO"),
    "one sample.wav": lambda: wav(b"\0\x10"),
    "no length.mp3": _mp3,
    "no length.ogg": _ogg,
    "no length.webm": _webm,
    "no length.flac": _flac,
    "no length.m4a": _fragmented,
    "cut.mp3": partial(_cut, _mp3, 0.6),
    "cut.flac": partial(_cut, _flac, 0.7),
}
REFUSED: Mapping[str, Make] = {
    "no samples.wav": lambda: wav(b""),
    "header alone.wav": lambda: wav(b"")[:12],
    "no data.wav": lambda: wav(b"")[:36],
    "tag alone.mp3": lambda: b"ID3\x04\0\0\0\0\0\0",
    "endless tag.mp3": lambda: b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(100),
    "head alone.ogg": partial(_cut, _ogg, 0.02),
    "head alone.webm": lambda: _webm()[:60],
    "head alone.m4a": lambda: _fragmented()[:40],
    "head alone.flac": lambda: _flac()[:42],
}
EITHER: Mapping[str, Make] = {
    "size 0.wav": partial(_pcm, data_size=0),
    "a list without end.wav": partial(_pcm, before=b"LIST" + struct.pack("<I", 2**31)),
    "rate 0.wav": lambda: wav(bytes(2_000), rate=0),
    "rate of gigahertz.wav": lambda: wav(bytes(2_000), rate=2**31 - 1),
    "rate beyond 31 bits.wav": lambda: wav(bytes(2_000), rate=2**32 - 1),
    "rate of 1 Hz.wav": lambda: wav(bytes(2_000), rate=1),
    "no channel.wav": lambda: wav(bytes(2_000), channels=0),
    "64 channels.wav": lambda: wav(bytes(64 * 2 * 800), channels=64),
    "65535 channels.wav": lambda: wav(bytes(2_000), channels=65_535, align=2),
    "0 bits.wav": lambda: wav(bytes(2_000), bits=0),
    "12 bits.wav": lambda: wav(bytes(2_000), bits=12, align=2),
    "wrong block.wav": lambda: wav(bytes(2_000), align=7),
    "unknown codec.wav": lambda: wav(bytes(2_000), tag=0x4242),
    "MP3 in it.wav": lambda: wav(_mp3(), tag=0x55, bits=0, rate=48_000, align=1),
    "big endian.wav": lambda: b"RIFX" + _pcm()[4:],
    "cut.ogg": partial(_cut, _ogg, 0.9),
    "cut.m4a": partial(_cut, _fragmented, 0.8),
    "cut.webm": partial(_cut, _webm, 0.7),
    "two of them.ogg": lambda: _ogg() + _ogg(),
    "two of them.mp3": lambda: _mp3() + _mp3(),
    "zeros behind.mp3": lambda: _mp3() + bytes(10_000),
}
