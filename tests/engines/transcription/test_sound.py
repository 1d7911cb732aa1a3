"""Sound files of every documented format, and files that are none: read by content, within bounds."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from homeport.domain.errors import InvalidRequest
from homeport.engines.transcription import sound

RATE_HZ = 48_000
SECONDS = 1.5
# As users' programs write them: the file's ending, FFmpeg's container and codec, and what we take it for.
FORMATS = {
    "flac": ("flac", "flac", "flac"),
    "m4a": ("ipod", "aac", "mov"),
    "mp3": ("mp3", "libmp3lame", "mp3"),
    "mp4": ("mp4", "aac", "mov"),
    "mpga": ("mp3", "libmp3lame", "mp3"),
    "mpeg": ("mpeg", "mp2", "mpeg"),
    "oga": ("ogg", "flac", "ogg"),
    "ogg": ("ogg", "libopus", "ogg"),
    "wav": ("wav", "pcm_s16le", "wav"),
    "webm": ("webm", "libopus", "matroska"),
}


def tone(path: Path, container: str, codec: str, seconds: float = SECONDS) -> Path:
    """Write a tone of 440 Hz, in stereo."""
    count = int(seconds * RATE_HZ)
    wave = (np.sin(np.arange(count) * 2 * np.pi * 440 / RATE_HZ) * 12_000).astype(np.int16)
    with av.open(str(path), "w", format=container) as media:
        stream = media.add_stream(codec, rate=RATE_HZ, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.time_base, frame.pts = RATE_HZ, Fraction(1, RATE_HZ), 0
        # Encoders take frames of their own size only.
        fifo = av.AudioFifo()
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=RATE_HZ)
        for part in resampler.resample(frame):
            fifo.write(part)
        size = stream.codec_context.frame_size or 1024
        while piece := fifo.read(size) or fifo.read(size, partial=True):
            media.mux(stream.encode(piece))
        media.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("ending", FORMATS)
def test_every_documented_format_is_read(tmp_path: Path, ending: str) -> None:
    """One channel of the length that went in, with the tone in it; the format is told by content, whatever the name."""
    container, codec, known = FORMATS[ending]
    path = tone(tmp_path / "named.nothing", container, codec)
    assert sound.container(path.read_bytes()[:12]) == known
    samples = sound.read(path)
    assert samples.dtype == np.float32
    assert len(samples) / sound.RATE_HZ == pytest.approx(SECONDS, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples[: sound.RATE_HZ]))
    assert int(spectrum.argmax()) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    "content",
    [
        b"hello, this is a text",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"\x7fELF" + bytes(100),
        b"\xff\xd8\xff\xe0" + bytes(100),
    ],
)
def test_what_is_no_sound_is_refused_by_its_content(tmp_path: Path, content: bytes) -> None:
    """Text, playlists, programs and pictures never reach FFmpeg, and the answer lists what is read."""
    path = tmp_path / "song.mp3"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest, match="Supported formats: flac, m4a") as refused:
        sound.read(path)
    assert refused.value.param == "file"


@pytest.mark.parametrize("ending", ["mp4", "wav", "flac"])
def test_a_file_without_its_sound_is_refused(tmp_path: Path, ending: str) -> None:
    """A header with nothing behind it is a clear error, without a path of ours in it."""
    container, codec, _ = FORMATS[ending]
    whole = tone(tmp_path / "whole", container, codec).read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(whole[:40])
    with pytest.raises(InvalidRequest) as refused:
        sound.read(path)
    assert refused.value.param == "file"
    assert str(tmp_path) not in refused.value.message


def test_a_recording_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """Half a WAV is half its sound."""
    path = tone(tmp_path / "cut", "wav", "pcm_s16le")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert len(sound.read(path)) / sound.RATE_HZ == pytest.approx(SECONDS / 2, abs=0.1)


def test_too_long_is_refused_as_soon_as_it_is_known(tmp_path: Path) -> None:
    """The bound is on seconds of sound: few bytes can hold many."""
    path = tone(tmp_path / "long", "flac", "flac", 3.0)
    with pytest.raises(InvalidRequest, match="longer than"):
        sound.read(path, most_s=2.0)


def test_reading_ends_when_nobody_waits(tmp_path: Path) -> None:
    """A cancelled request's file is not read to its end."""
    path = tone(tmp_path / "long", "flac", "flac", 3.0)
    assert len(sound.read(path, is_cancelled=lambda: True)) < sound.RATE_HZ
