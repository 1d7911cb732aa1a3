"""Every format is valid, has the audio's duration, and is available while audio is still computed."""

import io

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.domain.speech import AUDIO_FORMATS, AudioFormat
from homeport.engines.audio_encoder import AudioProfile, encoder
from tests.engines.sniffing import sniff

AudioSamples = NDArray[np.float32]
RATE = 24_000
SPEECH = AudioProfile(RATE, 1, {"mp3": 64_000, "opus": 32_000, "aac": 64_000})
MUSIC = AudioProfile(44_100, 2, {"mp3": 192_000, "opus": 128_000, "aac": 160_000})

SECOND: AudioSamples = (np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE) * 0.5).astype(np.float32)


def encoded(format: AudioFormat, *sounds: AudioSamples) -> list[bytes]:
    """Return the bytes of each block of samples, and those of the end."""
    coding = encoder(format, SPEECH)
    return [*(coding.feed(sound) for sound in sounds), coding.end()]


def decoded(format: AudioFormat, data: bytes) -> AudioSamples:
    """Decode bytes to samples at 24 kHz."""
    if format == "pcm":
        return (np.frombuffer(data, "<i2") / 32768).astype(np.float32)
    with av.open(io.BytesIO(data), "r") as container:
        resampler = av.AudioResampler("flt", "mono", RATE)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.float32)


@pytest.mark.parametrize("format", AUDIO_FORMATS)
def test_each_format_is_valid(format: AudioFormat) -> None:
    """Its first bytes identify it, and it decodes to the same length and pitch."""
    data = b"".join(encoded(format, SECOND, SECOND))
    assert sniff(data) == format
    sound = decoded(format, data)
    assert len(sound) / RATE == pytest.approx(2, abs=0.1)
    assert int(np.argmax(np.abs(np.fft.rfft(sound[RATE // 2 : RATE + RATE // 2])))) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("format", AUDIO_FORMATS)
def test_bytes_are_available_while_audio_is_computed(format: AudioFormat) -> None:
    """Most of a sentence's bytes are available before the end of the audio."""
    first, second, rest = (len(part) for part in encoded(format, SECOND, SECOND))
    assert first > 0.5 * (first + second + rest) / 2
    assert second > 0


@pytest.mark.parametrize("format", AUDIO_FORMATS)
def test_samples_may_come_in_any_blocks(format: AudioFormat) -> None:
    """Blocks of any size, empty ones included, give the same audio as one."""
    pieces = [SECOND[:1], SECOND[1:777], SECOND[:0], SECOND[777:]]
    once, often = (decoded(format, b"".join(encoded(format, *sounds))) for sounds in ([SECOND], pieces))
    assert np.array_equal(once, often)


def test_a_wav_header_has_an_unknown_length() -> None:
    """The header's sizes are the largest possible, so that players read to the end."""
    data = b"".join(encoded("wav", SECOND))
    assert data[4:8] == data[40:44] == b"\xff" * 4
    assert data[44:] == b"".join(encoded("pcm", SECOND))


def test_loud_audio_is_scaled_down() -> None:
    """Audio over full scale is scaled down and not clipped."""
    sound = decoded("pcm", b"".join(encoded("pcm", SECOND * 4)))
    assert float(np.max(np.abs(sound))) == pytest.approx(0.99, abs=0.01)
    assert np.mean(np.abs(sound) > 0.98) < 0.1


@pytest.mark.parametrize("format", AUDIO_FORMATS)
def test_stereo_keeps_its_channels_apart(format: AudioFormat) -> None:
    """Two channels at 44.1 kHz come back as two: of a tone on the left alone, the right one is silent."""
    t = np.arange(44_100) / 44_100
    tone = np.stack([np.sin(t * 2 * np.pi * 440) * 0.5, np.zeros_like(t)], axis=1).astype(np.float32)
    coding = encoder(format, MUSIC)
    data = coding.feed(tone[:10_000]) + coding.feed(tone[10_000:]) + coding.end()
    if format == "pcm":
        sound = np.frombuffer(data, "<i2").reshape(-1, 2).T / 32768
    else:
        with av.open(io.BytesIO(data), "r") as container:
            resampler = av.AudioResampler("fltp", "stereo", 44_100)
            frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
            sound = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    left, right = np.sqrt(np.mean(sound[:, 8_000:36_000] ** 2, axis=1))
    assert left == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert right < 0.01
    assert int(np.argmax(np.abs(np.fft.rfft(sound[0, 4_000:26_050])))) * 2 == pytest.approx(440, abs=4)


@pytest.mark.parametrize("format", AUDIO_FORMATS)
def test_the_same_samples_are_the_same_bytes(format: AudioFormat) -> None:
    """Encoding twice gives equal files, because nothing in a container is random."""
    assert encoded(format, SECOND) == encoded(format, SECOND)
