"""The pitch of a sung phrase over time: notes, joined by short glides, with vibrato on long ones.

Knows nothing of words, the model or audio.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

PitchCurve = NDArray[np.float64]
"""Hertz, at equal steps of time."""

_GLIDE_S = 0.09  # during which one note turns into the next
_EARLY_S = 0.025  # by which the glide starts before the vowel, so that the vowel has its note from its start
_VIBRATO_HZ, _VIBRATO_DEPTH = 5.5, 0.011
_VIBRATO_AFTER_S, _VIBRATO_GROWS_S = 0.3, 0.3


def note_hz(pitch: int) -> float:
    """Return the frequency of a MIDI number in Hertz."""
    return float(440 * 2 ** ((pitch - 69) / 12))


def pitch_curve(pitches: Sequence[int], starts: Sequence[float], size: int, step_s: float) -> PitchCurve:
    """Return a curve of `size` values, `step_s` apart; the first one is that of `step_s / 2`.

    `starts`: the second at which each note starts, and last the one at which the last note ends.
    """
    times = (np.arange(size) + 0.5) * step_s
    steps = np.full(size, pitches[0], np.float64)
    for pitch, start in zip(pitches[1:], starts[1:-1], strict=True):
        steps[times >= start - _EARLY_S] = pitch
    glide = round(_GLIDE_S / step_s / 2) * 2 + 1  # an odd number of values
    window = np.hanning(glide + 2)[1:-1]
    smooth = np.convolve(np.pad(steps, glide // 2, mode="edge"), window / window.sum(), "valid")
    curve = 440 * 2 ** ((smooth - 69) / 12)
    for start, end in pairwise(starts):
        seconds = times - start
        growth = np.clip((seconds - _VIBRATO_AFTER_S) / _VIBRATO_GROWS_S, 0, 1)
        vibrato = _VIBRATO_DEPTH * growth * np.sin(2 * np.pi * _VIBRATO_HZ * seconds)
        curve *= 1 + np.where((times >= start) & (times < end), vibrato, 0)
    return np.asarray(curve)


def fold(pitch: int, low: int, high: int) -> int:
    """Move a note by octaves into a range of at least an octave."""
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch
