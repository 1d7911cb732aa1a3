"""When the sounds of a spoken phrase come, and how long each lasts when it is sung.

Each vowel starts with its note. A note longer than its syllable was spoken is held where the voice is loudest, so that
consonants keep their speed. Knows nothing of pitch, the model or audio.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_EARLY = 3  # measured: the model's audio is this many of its frames before the phonemes that it was aligned with
_STRESSES = "ˈˌ"
_HOLD_EXPONENT = 2.0  # a frame is held in proportion to this power of its loudness
_AUDIBLE = 0.02  # of the median of voiced frames
_BEFORE, _AFTER = 4, 30  # frames that are kept before the first audible one, and after the last syllable


def vowel_starts(phonemes: str, nuclei: Sequence[int], lengths: NDArray[np.int64]) -> list[int]:
    """Return the model's frame at which each vowel is heard, and last the one at which the phrase ends.

    `nuclei`: the index of each vowel in `phonemes`. `lengths`: the model's frames of the silence before, of each
    phoneme, and of the silence after. A sign of stress belongs to the vowel after it.
    """
    starts = np.cumsum(lengths) - _EARLY  # of the phoneme with the same index
    found: list[int] = []
    for nucleus in nuclei:
        first = nucleus
        while first and phonemes[first - 1] in _STRESSES:
            first -= 1
        found.append(max(int(starts[first]), found[-1] + 1 if found else 0))
    return [*found, max(int(starts[len(phonemes)]), found[-1] + 1)]


def sung_lengths(loudness: FloatArray, vowels: Sequence[int], onsets: Sequence[float]) -> FloatArray:
    """Return how many frames each frame of the spoken phrase lasts.

    `loudness`: of each frame, 0 where the voice has no pitch. `vowels`: the frame at which each vowel starts, and last
    the one at which the phrase ends. `onsets`: the frames at which each note starts, counted from the first one, and
    the end of the last. What comes before the first vowel keeps its speed, silence before it is dropped.
    """
    lengths = np.ones(len(loudness))
    voiced = loudness[loudness > 0]
    threshold = _AUDIBLE * float(np.median(voiced)) if voiced.size else 0.0
    audible = np.flatnonzero(loudness[: vowels[0]] > threshold)
    lengths[: max(int(audible[0] if audible.size else vowels[0]) - _BEFORE, 0)] = 0
    lengths[vowels[-1] + _AFTER :] = 0
    for (first, after), (onset, end) in zip(pairwise(vowels), pairwise(onsets), strict=True):
        lengths[first:after] = _syllable_lengths(loudness[first:after], end - onset)
    return lengths


def _syllable_lengths(loudness: FloatArray, total: float) -> FloatArray:
    """Hold the loudest frames, or shorten all alike, so that the syllable lasts as long as its note."""
    spare = total - loudness.size
    weights = loudness**_HOLD_EXPONENT
    if spare <= 0 or not weights.any():
        return np.full(loudness.size, total / loudness.size)
    return np.asarray(1 + spare * weights / weights.sum())
