"""Sound files of every documented format, and files that are none: read by content, within bounds."""

from pathlib import Path

import numpy as np
import pytest

from homeport.domain.errors import InvalidRequest
from homeport.engines.transcription import audio
from tests import odd_sounds
from tests.audio_samples import (
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


def read(path: Path, most_s: float = audio.MAX_DURATION_S) -> Samples:
    """All samples of a file."""
    with audio.open_recording(path, most_s) as recording:
        return np.concatenate(list(recording.blocks()))


@pytest.fixture
def put(tmp_path: Path) -> Path:
    """A file whose name says nothing."""
    return tmp_path / "named.nothing"


@pytest.mark.parametrize("ending", FORMATS)
def test_every_documented_format_is_read(put: Path, ending: str) -> None:
    """One channel of the length that went in, with the tone in it; the format is told by content, whatever the name."""
    put.write_bytes(encoded(tone(SECONDS), ending))
    assert audio.container(put.read_bytes()[:12]) == CONTAINERS[ending]
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
def test_what_is_no_sound_is_refused_by_its_content(put: Path, content: bytes) -> None:
    """Text, playlists, programs and pictures never reach FFmpeg, and the answer lists what is read."""
    put.write_bytes(content)
    with pytest.raises(InvalidRequest, match="Supported formats: flac, m4a") as refused:
        read(put)
    assert refused.value.param == "file"


@pytest.mark.parametrize("ending", ["mp4", "wav", "flac", "webm", "ogg"])
def test_a_file_without_its_sound_is_refused(put: Path, ending: str) -> None:
    """A header with nothing behind it is a clear error, without a path of ours in it."""
    put.write_bytes(encoded(tone(SECONDS), ending)[:40])
    with pytest.raises(InvalidRequest) as refused:
        read(put)
    assert refused.value.param == "file"
    assert str(put.parent) not in refused.value.message


def test_noise_behind_a_right_beginning_is_refused(put: Path) -> None:
    """Bytes that only begin like a sound file are told from damage that can be passed over."""
    noise = np.random.default_rng(7).integers(0, 256, 50_000, np.uint8).tobytes()
    put.write_bytes(encoded(tone(SECONDS), "flac")[:60] + noise)
    with pytest.raises(InvalidRequest):
        read(put)


def test_a_recording_cut_short_is_read_as_far_as_it_goes(put: Path) -> None:
    """Half a WAV is half its sound."""
    whole = encoded(tone(SECONDS))
    put.write_bytes(whole[: len(whole) // 2])
    assert len(read(put)) / audio.RATE_HZ == pytest.approx(SECONDS / 2, abs=0.1)


def test_a_little_damage_is_passed_over(put: Path) -> None:
    """A hole in the middle of an MP3 costs what was in it, not the whole recording."""
    whole = bytearray(encoded(tone(6.0), "mp3"))
    middle = len(whole) // 2
    whole[middle : middle + 1000] = bytes(1000)
    put.write_bytes(bytes(whole))
    assert 5.0 < len(read(put)) / audio.RATE_HZ < 6.2


def test_too_long_is_refused_as_soon_as_it_is_known(put: Path) -> None:
    """The bound is on seconds of sound: few bytes can hold many."""
    put.write_bytes(encoded(tone(3.0), "flac"))
    with pytest.raises(InvalidRequest, match="longer than"):
        read(put, most_s=2.0)


def test_a_recording_comes_in_pieces_and_again(put: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a piece is held at a time, and a second reading gives the same."""
    monkeypatch.setattr(audio, "PIECE_S", 1)
    put.write_bytes(encoded(tone(3.5), "flac"))
    with audio.open_recording(put) as recording:
        first, again = list(recording.blocks()), list(recording.blocks())
    assert len(first) == 4
    assert max(map(len, first)) < 1.5 * audio.RATE_HZ
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("name", odd_sounds.HEARD)
def test_odd_files_with_sound_in_them_are_read(put: Path, name: str) -> None:
    """Every width, rate and number of channels, wrong or missing lengths, and floats that are no numbers."""
    put.write_bytes(odd_sounds.HEARD[name]())
    samples = read(put)
    assert len(samples) <= 1.1 * audio.RATE_HZ
    assert len(samples) > 0.09 * audio.RATE_HZ or "one sample" in name
    assert np.isfinite(samples).all()
    assert 0.1 < np.abs(samples).max() <= 1


@pytest.mark.parametrize("name", odd_sounds.REFUSED)
def test_odd_files_without_sound_are_refused(put: Path, name: str) -> None:
    """No samples, heads alone and tags alone are the caller's mistake."""
    put.write_bytes(odd_sounds.REFUSED[name]())
    with pytest.raises(InvalidRequest) as refused:
        read(put)
    assert refused.value.param == "file"


@pytest.mark.parametrize("name", odd_sounds.EITHER)
def test_files_that_say_nonsense_are_read_or_refused(put: Path, name: str) -> None:
    """Whatever a header claims, sound comes out, or a refusal that names the field."""
    put.write_bytes(odd_sounds.EITHER[name]())
    try:
        samples = read(put)
    except InvalidRequest:
        return
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1
