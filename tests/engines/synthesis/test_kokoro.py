"""Speech that is faster than the model speaks: shorter, and as high as before."""

import numpy as np
import pytest

from homeport.engines.synthesis.kokoro import RATE, AudioSamples, time_stretch

SECOND: AudioSamples = (np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE) * 0.5).astype(np.float32)


@pytest.mark.parametrize("factor", [1.2, 2.0, 2.66])
def test_stretched_audio_keeps_its_pitch(factor: float) -> None:
    """The duration shrinks by the factor, and the pitch stays."""
    sound = time_stretch(np.tile(SECOND, 3), factor)
    assert len(sound) == pytest.approx(3 * RATE / factor, rel=0.03)
    middle = sound[len(sound) // 4 : len(sound) // 4 + RATE // 2]
    assert int(np.argmax(np.abs(np.fft.rfft(middle)))) * 2 == pytest.approx(440, abs=6)
