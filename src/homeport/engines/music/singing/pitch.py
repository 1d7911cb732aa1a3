"""The pitch of a sung phrase over time: notes, joined by short glides, with vibrato on long vowels.

Knows nothing of words, the model or audio.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PitchCurve = NDArray[np.float32]
"""Hertz, two values in each of the model's frames."""

STEP_S = 0.0125
_GLIDE = 7  # values over which one note turns into the next
_EARLY = 2  # values by which the glide starts before the vowel, so that the vowel has its note from its start
_VIBRATO_HZ, _VIBRATO_DEPTH = 5.5, 0.011
_VIBRATO_AFTER_S, _VIBRATO_GROWS_S = 0.3, 0.3


def note_hz(pitch: int) -> float:
    """Return the frequency of a MIDI number in Hertz."""
    return float(440 * 2 ** ((pitch - 69) / 12))


def pitch_curve(pitches: Sequence[int], vowels: Sequence[tuple[int, int]], size: int) -> PitchCurve:
    """Return a curve of `size` values. `vowels`: of each note the first value of its vowel and the one after it."""
    steps = np.full(size, pitches[0], np.float64)
    for pitch, (first, _) in zip(pitches[1:], vowels[1:], strict=True):
        steps[max(0, first - _EARLY) :] = pitch
    window = np.hanning(_GLIDE + 2)[1:-1]
    smooth = np.convolve(np.pad(steps, _GLIDE // 2, mode="edge"), window / window.sum(), "valid")
    curve = 440 * 2 ** ((smooth - 69) / 12)
    for first, after in vowels:
        seconds = np.arange(after - first) * STEP_S
        growth = np.clip((seconds - _VIBRATO_AFTER_S) / _VIBRATO_GROWS_S, 0, 1)
        curve[first:after] *= 1 + _VIBRATO_DEPTH * growth * np.sin(2 * np.pi * _VIBRATO_HZ * seconds)
    return curve.astype(np.float32)


def fold(pitch: int, low: int, high: int) -> int:
    """Move a note by octaves into a range of at least an octave."""
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch
