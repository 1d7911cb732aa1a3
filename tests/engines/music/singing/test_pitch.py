"""The pitch of a sung phrase."""

import numpy as np
import pytest

from homeport.engines.music.singing.pitch import fold, pitch_curve


def test_a_note_has_its_pitch() -> None:
    """Between glides a note is exact; a long one gets a vibrato around it."""
    curve = pitch_curve([69, 57], [0.1, 0.5, 1.7], 360, 0.005)
    assert curve[:80] == pytest.approx(440, abs=0.01)
    assert curve[105:160] == pytest.approx(220, abs=0.01)
    late = curve[220:340]
    assert 2 < np.ptp(late) < 6
    assert late.mean() == pytest.approx(220, abs=0.5)
    assert curve[345:] == pytest.approx(220, abs=0.01)


@pytest.mark.parametrize("step_s", [0.005, 0.0125])
def test_notes_are_joined_by_a_glide(step_s: float) -> None:
    """The pitch never jumps, whatever the step of time, and the second note is there when its vowel starts."""
    curve = pitch_curve([60, 72], [0.0, 0.5, 0.8], round(0.8 / step_s), step_s)
    assert np.abs(np.diff(np.log2(curve))).max() < 0.3
    assert curve[round(0.53 / step_s)] == pytest.approx(2 * curve[0], rel=0.01)


@pytest.mark.parametrize(("pitch", "folded"), [(64, 64), (86, 62), (40, 64), (71, 71), (72, 60)])
def test_notes_are_moved_by_octaves(pitch: int, folded: int) -> None:
    """A note outside of the range is sung in the nearest octave inside it."""
    assert fold(pitch, 57, 71) == folded
