"""The lengths of sung phonemes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from homeport.engines.music.singing.timing import phoneme_frames


def test_vowels_start_with_their_notes() -> None:
    """Consonants keep their length, vowels take the rest, and the first consonants come before the first note."""
    natural = np.array([16, 3, 2, 4, 2, 5, 2, 13], np.float32)  # silence, s, a, n, t, a, n, silence
    frames, lead = phoneme_frames(natural, [2, 5], [0, 20, 45])
    assert lead == frames[:2].sum() == 4 + 3
    assert list(frames[3:5]) == [4, 2]
    starts = np.cumsum(frames) - frames - lead
    assert (starts[2], starts[5], starts[7]) == (0, 20, 45)


def test_consonants_are_shortened_for_a_short_note() -> None:
    """A vowel keeps nearly half of its note."""
    natural = np.array([4, 2, 9, 8, 2, 4], np.float32)
    frames, _ = phoneme_frames(natural, [1, 4], [0, 10, 20])
    assert (frames[1], frames[2:4].sum()) == (4, 6)


@given(
    lengths=st.lists(st.floats(0, 40, width=32), min_size=12, max_size=12),
    notes=st.lists(st.floats(0.2, 60), min_size=3, max_size=3),
)
def test_rounding_does_not_accumulate(lengths: list[float], notes: list[float]) -> None:
    """Each phoneme has a frame, and after notes that are too short the next ones catch up."""
    onsets = [0.0, *np.cumsum([*notes, 200.0])]
    frames, lead = phoneme_frames(np.array(lengths, np.float32), [2, 4, 7, 9], onsets)
    assert frames.min() >= 1
    assert frames[:-1].sum() - lead == round(onsets[-1])
