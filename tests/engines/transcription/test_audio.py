"""Audio files of every documented format, and other files: detected by content, within limits."""

from pathlib import Path

import numpy as np
import pytest

from homeport.domain.errors import InvalidRequest
from homeport.engines.transcription import audio
from tests.samples import odd_sounds
from tests.samples.audio_samples import (
    FORMATS,
    Samples,
    encoded,
    tone,
)

SECONDS = 1.5
CONTAINERS = {"flac": "flac", "m4a": "mov", "mp3": "mp3", "mp4": "mov", "mpga": "mp3", "mpeg": "mpeg", "oga": "ogg"} | {
    "ogg": "ogg",
    "wav": "wav",
    "webm": "matroska",
}


def read(path: Path, max_duration_s: float = audio.MAX_DURATION_S) -> Samples:
    """Return all samples of a file."""
    with audio.open_recording(path, max_duration_s) as recording:
        return np.concatenate(list(recording.blocks()))


@pytest.fixture
def put(tmp_path: Path) -> Path:
    """Write a file whose name does not reveal its format."""
    return tmp_path / "named.nothing"


@pytest.mark.parametrize("ending", FORMATS)
def test_every_documented_format_is_read(put: Path, ending: str) -> None:
    """One channel of the same length with the same tone; the format is detected by content, whatever the name."""
    put.write_bytes(encoded(tone(SECONDS), ending))
    assert audio.detect_format(put.read_bytes()[:12]) == CONTAINERS[ending]
    samples = read(put)
    assert samples.dtype == np.float32
    assert len(samples) / audio.RATE_HZ == pytest.approx(SECONDS, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples[: audio.RATE_HZ]))
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
def test_other_files_are_refused_by_their_content(put: Path, content: bytes) -> None:
    """Text, playlists, programs and images never reach FFmpeg, and the error lists the supported formats."""
    put.write_bytes(content)
    with pytest.raises(InvalidRequest, match="Supported formats: flac, m4a") as refused:
        read(put)
    assert refused.value.param == "file"


@pytest.mark.parametrize("ending", ["mp4", "wav", "flac", "webm", "ogg"])
def test_a_file_without_audio_is_refused(put: Path, ending: str) -> None:
    """A header without content is a clear error that reveals no path."""
    put.write_bytes(encoded(tone(SECONDS), ending)[:40])
    with pytest.raises(InvalidRequest) as refused:
        read(put)
    assert refused.value.param == "file"
    assert str(put.parent) not in refused.value.message


def test_noise_after_a_valid_beginning_is_refused(put: Path) -> None:
    """Random bytes after a valid beginning are refused, unlike damage that can be skipped."""
    noise = np.random.default_rng(7).integers(0, 256, 50_000, np.uint8).tobytes()
    put.write_bytes(encoded(tone(SECONDS), "flac")[:60] + noise)
    with pytest.raises(InvalidRequest):
        read(put)


def test_a_truncated_recording_is_read_to_its_end(put: Path) -> None:
    """Half a WAV file gives half its audio."""
    whole = encoded(tone(SECONDS))
    put.write_bytes(whole[: len(whole) // 2])
    assert len(read(put)) / audio.RATE_HZ == pytest.approx(SECONDS / 2, abs=0.1)


def test_a_little_damage_is_skipped(put: Path) -> None:
    """Damage in the middle of an MP3 loses that part only."""
    whole = bytearray(encoded(tone(6.0), "mp3"))
    middle = len(whole) // 2
    whole[middle : middle + 1000] = bytes(1000)
    put.write_bytes(bytes(whole))
    assert 5.0 < len(read(put)) / audio.RATE_HZ < 6.2


def test_a_long_recording_is_refused_as_soon_as_possible(put: Path) -> None:
    """The limit is on seconds of audio, because few bytes can hold many."""
    put.write_bytes(encoded(tone(3.0), "flac"))
    with pytest.raises(InvalidRequest, match="longer than"):
        read(put, max_duration_s=2.0)


def test_a_recording_is_read_in_blocks_and_repeatedly(put: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one block is in memory, and a second reading gives the same."""
    monkeypatch.setattr(audio, "PIECE_S", 1)
    put.write_bytes(encoded(tone(3.5), "flac"))
    with audio.open_recording(put) as recording:
        first, again = list(recording.blocks()), list(recording.blocks())
    assert len(first) == 4
    assert max(map(len, first)) < 1.5 * audio.RATE_HZ
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("name", odd_sounds.HEARD)
def test_unusual_files_with_audio_are_read(put: Path, name: str) -> None:
    """Every width, rate and number of channels, wrong or missing lengths, and NaN are read."""
    put.write_bytes(odd_sounds.HEARD[name]())
    samples = read(put)
    assert len(samples) <= 1.1 * audio.RATE_HZ
    assert len(samples) > 0.09 * audio.RATE_HZ or "one sample" in name
    assert np.isfinite(samples).all()
    assert 0.1 < np.abs(samples).max() <= 1


@pytest.mark.parametrize("name", odd_sounds.REFUSED)
def test_unusual_files_without_audio_are_refused(put: Path, name: str) -> None:
    """Files without samples, with headers or tags only, are invalid requests."""
    put.write_bytes(odd_sounds.REFUSED[name]())
    with pytest.raises(InvalidRequest) as refused:
        read(put)
    assert refused.value.param == "file"


@pytest.mark.parametrize("name", odd_sounds.EITHER)
def test_invalid_headers_are_read_or_refused(put: Path, name: str) -> None:
    """With any header values, the result is audio or an error that names the field."""
    put.write_bytes(odd_sounds.EITHER[name]())
    try:
        samples = read(put)
    except InvalidRequest:
        return
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1
