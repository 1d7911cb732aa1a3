"""Every format is valid, has the audio's duration, and is available while audio is still computed."""

import io

import av
import numpy as np
import pytest

from homeport.domain.speech import AUDIO_FORMATS, AudioFormat
from homeport.engines.speech.audio_encoder import encoder
from homeport.engines.speech.kokoro import RATE, AudioSamples, time_stretch
from tests.engines.speech.sniffing import sniff

SECOND: AudioSamples = (np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE) * 0.5).astype(np.float32)


def encoded(format: AudioFormat, *sounds: AudioSamples) -> list[bytes]:
    """Return the bytes of each block of samples, and those of the end."""
    coding = encoder(format)
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


@pytest.mark.parametrize("factor", [1.2, 2.0, 2.66])
def test_stretched_audio_keeps_its_pitch(factor: float) -> None:
    """The duration shrinks by the factor, and the pitch stays."""
    sound = time_stretch(np.tile(SECOND, 3), factor)
    assert len(sound) == pytest.approx(3 * RATE / factor, rel=0.03)
    middle = sound[len(sound) // 4 : len(sound) // 4 + RATE // 2]
    assert int(np.argmax(np.abs(np.fft.rfft(middle)))) * 2 == pytest.approx(440, abs=6)
