"""The pitch of a sung phrase."""

import numpy as np
import pytest

from homeport.engines.music.singing.pitch import fold, pitch_curve


def test_a_vowel_has_its_notes_pitch() -> None:
    """Between glides a note is exact; a long one gets a vibrato around it."""
    curve = pitch_curve([69, 57], [(10, 40), (40, 140)], 150)
    assert curve[:30] == pytest.approx(440, abs=0.01)
    assert curve[44:60] == pytest.approx(220, abs=0.01)
    late = curve[90:140]
    assert 2 < np.ptp(late) < 6
    assert late.mean() == pytest.approx(220, abs=0.5)


def test_notes_are_joined_by_a_glide() -> None:
    """The pitch never jumps."""
    curve = pitch_curve([60, 72], [(0, 40), (40, 60)], 60)
    assert np.abs(np.diff(np.log2(curve))).max() < 0.3


@pytest.mark.parametrize(("pitch", "folded"), [(64, 64), (86, 62), (40, 64), (71, 71), (72, 60)])
def test_notes_are_moved_by_octaves(pitch: int, folded: int) -> None:
    """A note outside of the range is sung in the nearest octave inside it."""
    assert fold(pitch, 57, 71) == folded
