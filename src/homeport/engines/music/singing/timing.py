"""How long each phoneme of a phrase sounds, so that each vowel starts with its note and consonants keep their speed.

Knows nothing of pitch, the model or audio. Times are in the model's frames.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PhonemeFrames = NDArray[np.int64]

_MIN_VOWEL = 3
_VOWEL_SHARE = 0.45
"""A vowel takes at least this share of its note: consonants are shortened where they would take more."""
_MAX_PAUSE = 4
_END_SILENCE = 3


def phoneme_frames(
    natural: NDArray[np.float32], nuclei: Sequence[int], onsets: Sequence[float]
) -> tuple[PhonemeFrames, int]:
    """Return the frames of each phoneme and how many of them precede the first note.

    `natural`: the model's own lengths. `nuclei`: the index of each syllable's vowel. `onsets`: the start of each note
    after that of the first, and last the end of the last note. What comes before the first vowel is sung before its
    note; the silence after the last phoneme lengthens the phrase.
    """
    frames = np.maximum(np.round(natural), 1).astype(np.int64)
    frames[0] = min(frames[0], _MAX_PAUSE)
    frames[-1] = _END_SILENCE
    position = 0
    for number, nucleus in enumerate(nuclei):
        is_last = number + 1 == len(nuclei)
        until = len(frames) - 1 if is_last else nuclei[number + 1]
        between = frames[nucleus + 1 : until]
        available = max(round(onsets[number + 1]) - position, 1 + len(between))
        vowel = min(max(_MIN_VOWEL, round(available * _VOWEL_SHARE)), available - len(between))
        _shorten(between, available - vowel)
        frames[nucleus] = available - between.sum()
        position += available
    return frames, int(frames[: nuclei[0]].sum())


def _shorten(frames: PhonemeFrames, limit: int) -> None:
    """Shorten the longest of these phonemes, in place, until all fit the limit."""
    while frames.sum() > limit and frames.max() > 1:
        frames[np.argmax(frames)] -= 1
