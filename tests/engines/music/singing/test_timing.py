"""The lengths of sung sounds."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.engines.music.singing.timing import sung_lengths, vowel_starts


def test_vowels_are_heard_before_their_phonemes() -> None:
    """A vowel starts 75 ms before its phoneme, with its sign of stress; the phrase ends before the silence after it."""
    lengths = np.array([14, 2, 3, 4, 2, 5, 2, 13])  # silence, s, stress, a, n, t, a, silence
    assert vowel_starts("sˈanta", [2, 5], lengths) == [14 + 2 - 3, 14 + 2 + 3 + 4 + 2 + 5 - 3, 14 + 18 - 3]


@given(lengths=st.lists(st.integers(1, 3), min_size=6, max_size=6))
def test_every_vowel_has_a_time(lengths: list[int]) -> None:
    """However short the phonemes are, vowels start one after another."""
    starts = vowel_starts("aaaa", [0, 1, 2, 3], np.array(lengths))
    assert all(later > earlier >= 0 for earlier, later in pairwise(starts))


def test_a_vowel_is_held_where_it_is_loudest() -> None:
    """What comes before the first vowel keeps its speed; frames without voice are not held."""
    loudness = np.array([0.0] * 20 + [0.5, 0.5] + [1.0, 2.0, 1.0, 0.0, 0.0] + [2.0, 0.0, 0.0])
    lengths = sung_lengths(loudness, [22, 27, 30], [0, 25, 31])
    assert list(lengths[:16]) == [0] * 16  # silence
    assert list(lengths[16:22]) == [1] * 6
    assert lengths[22:27].sum() == pytest.approx(25)
    assert list(lengths[25:27]) == [1, 1]
    assert lengths[23] - 1 == pytest.approx(4 * (lengths[22] - 1))
    assert lengths[27:30] == pytest.approx([4, 1, 1])


def test_a_short_note_shortens_its_syllable() -> None:
    """All frames of a syllable are shortened alike if it was spoken longer than its note."""
    assert sung_lengths(np.array([1.0, 2.0, 0.0, 1.0]), [0, 3, 4], [0, 1.5, 3]) == pytest.approx([0.5, 0.5, 0.5, 1.5])


@given(
    loudness=st.lists(st.floats(0, 2), min_size=40, max_size=40),
    notes=st.lists(st.floats(0.2, 60), min_size=3, max_size=3),
)
def test_notes_start_on_time(loudness: list[float], notes: list[float]) -> None:
    """However a phrase was spoken, each vowel starts with its note, also if nothing in it has a voice."""
    onsets = [0.0, *np.cumsum(notes)]
    vowels = [8, 15, 16, 38]
    lengths = sung_lengths(np.array(loudness), vowels, onsets)
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    assert [starts[vowel] - starts[8] for vowel in vowels] == pytest.approx(onsets)
    assert lengths.min() >= 0
