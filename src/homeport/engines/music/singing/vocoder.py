"""Analyses speech with WORLD into spectrum, noise and pitch, and synthesizes it with another pitch and other lengths.

WORLD: Morise, Yokomori, Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system for real-time
applications", 2016. Knows nothing of notes, words or the model.
"""

from typing import NamedTuple

import numpy as np
import pyworld
from numpy.typing import NDArray

from homeport.engines.synthesis.kokoro import RATE, AudioSamples

FloatArray = NDArray[np.float64]

STEP_S = 0.005
"""Seconds from one frame to the next."""
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 500.0
_TINY = 1e-12  # a power far below what can be heard


class VoiceFrames(NamedTuple):
    """Frames of a voice. `power` and `noise` (frames, bands): the spectrum, and the share of it that has no pitch."""

    is_voiced: NDArray[np.bool_]
    power: FloatArray
    noise: FloatArray

    def loudness(self) -> FloatArray:
        """Return the loudness of each frame with a pitch, 0 for others."""
        return np.asarray(np.sqrt(self.power.sum(axis=1)) * self.is_voiced)

    def held(self, lengths: FloatArray) -> "tuple[VoiceFrames, FloatArray]":
        """Return the frames when each lasts `lengths` of them, and the place of each new one among the old ones."""
        ends = np.concatenate([[0.0], np.cumsum(lengths)])
        centres = np.arange(int(ends[-1])) + 0.5
        places = np.clip(np.interp(centres, ends, np.arange(ends.size)) - 0.5, 0, lengths.size - 1)
        before = np.floor(places).astype(np.int64)
        after = np.minimum(before + 1, lengths.size - 1)
        share = (places - before)[:, None]
        log_power = np.log(self.power + _TINY)
        power = np.exp((1 - share) * log_power[before] + share * log_power[after])
        noise = (1 - share) * self.noise[before] + share * self.noise[after]
        return VoiceFrames(self.is_voiced[np.round(places).astype(np.int64)], power, noise), places


def analyse(samples: AudioSamples) -> VoiceFrames:
    """Analyse audio of 24 kHz."""
    sound = samples.astype(np.float64)
    pitch, times = pyworld.harvest(sound, RATE, _LOWEST_HZ, _HIGHEST_HZ, STEP_S * 1000)
    power = pyworld.cheaptrick(sound, pitch, times, RATE)
    return VoiceFrames(pitch > 0, power, pyworld.d4c(sound, pitch, times, RATE))


def synthesize(voice: VoiceFrames, pitch: FloatArray, gain: FloatArray) -> AudioSamples:
    """Return audio of 24 kHz. `pitch` (Hertz) and `gain` (of the amplitude): of each frame."""
    power = np.ascontiguousarray(voice.power * gain[:, None] ** 2)
    sound = pyworld.synthesize(
        np.where(voice.is_voiced, pitch, 0.0), power, np.ascontiguousarray(voice.noise), RATE, STEP_S * 1000
    )
    return np.asarray(sound, np.float32)
