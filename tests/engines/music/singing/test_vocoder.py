"""A voice taken apart and put together."""

import numpy as np
import pytest
import pyworld

from homeport.engines.music.singing.vocoder import STEP_S, VoiceFrames, analyse, synthesize
from homeport.engines.synthesis.kokoro import RATE

SECONDS = 0.6


@pytest.fixture(scope="module")
def voice() -> VoiceFrames:
    """A buzz of 150 Hz between two silences."""
    times = np.arange(round(RATE * SECONDS)) / RATE
    sound = sum(np.sin(2 * np.pi * 150 * number * times) / number for number in range(1, 30))
    return analyse((0.1 * sound * ((times > 0.1) & (times < 0.5))).astype(np.float32))


def heard_hz(voice: VoiceFrames, hz: float, gain: float) -> tuple[float, float]:
    """Return the pitch and the loudness of what is synthesized."""
    frames = len(voice.is_voiced)
    samples = synthesize(voice, np.full(frames, hz), np.full(frames, gain)).astype(np.float64)
    pitch, _ = pyworld.harvest(samples, RATE)
    return float(np.median(pitch[pitch > 0])), float(np.sqrt(np.mean(samples**2)))


def test_the_voice_is_found(voice: VoiceFrames) -> None:
    """Frames with a pitch are loud, others count as silent."""
    loud = voice.loudness() > 0
    assert loud[round(0.15 / STEP_S) : round(0.45 / STEP_S)].all()
    assert not loud[: round(0.05 / STEP_S)].any()


@pytest.mark.parametrize("hz", [150, 100, 260])
def test_pitch_and_gain_are_those_asked_for(voice: VoiceFrames, hz: float) -> None:
    """A voice gets any pitch, and a gain multiplies its amplitude."""
    pitch, loudness = heard_hz(voice, hz, 1.0)
    assert pitch == pytest.approx(hz, rel=0.01)
    assert heard_hz(voice, hz, 2.0)[1] == pytest.approx(2 * loudness, rel=0.01)


def test_frames_are_held(voice: VoiceFrames) -> None:
    """A frame of length 0 is left out, one of length 3 is there three times; the places say which frames they are."""
    lengths = np.ones(len(voice.is_voiced))
    lengths[:20], lengths[60] = 0, 3
    held, places = voice.held(lengths)
    assert len(held.is_voiced) == len(places) == len(lengths) - 20 + 2
    assert places[0] == pytest.approx(20)
    assert places[40:43] == pytest.approx([60 - 1 / 3, 60, 60 + 1 / 3])
    assert held.power[41] == pytest.approx(voice.power[60], abs=1e-11)
    assert (np.diff(places) > 0).all()
