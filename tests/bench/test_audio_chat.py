"""What a listener hears of audio that arrives in pieces."""

import pytest

from bench.audio_chat import Player, SpokenRun


def test_a_player_counts_the_silence_within_an_answer() -> None:
    """Audio that arrives in time is played without gaps; audio that is late leaves silence."""
    player = Player()
    for now, seconds in ((2.0, 1.0), (2.5, 1.0), (4.5, 0.5), (5.0, 0.5)):
        player.add(now, seconds)
    assert (player.first_s, player.audio_s) == (2.0, 3.0)
    assert player.silent_s == pytest.approx(0.5)


def test_the_wait_begins_with_the_first_text() -> None:
    """The time until the first audio is counted from the first text."""
    assert SpokenRun(text_s=0.5, audio_first_s=1.75, end_s=5, audio_s=9, silent_s=0).wait_s == 1.25
