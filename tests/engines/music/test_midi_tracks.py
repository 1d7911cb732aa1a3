"""Arrangements as MIDI files."""

import pytest

from bench import music_sound
from bench.written_tunes import TUNES
from homeport.engines.music.midi_tracks import midi_file, sharps
from homeport.engines.music.score import Key, Metre, Mode, TunePlan


@pytest.mark.parametrize(
    ("tonic", "mode", "expected"),
    [
        (0, "major", 0),
        (2, "major", 2),
        (5, "major", -1),
        (9, "minor", 0),
        (2, "dorian", 0),
        (9, "mixolydian", 2),
        (6, "major", 6),
        (1, "major", -5),
    ],
)
def test_the_signature_is_that_of_the_mode(tonic: int, mode: Mode, expected: int) -> None:
    """The key signature of a mode is that of the major key with the same notes."""
    assert sharps(TunePlan("reel", Metre(4, 4), Key(tonic, mode), 100, 8)) == expected


def test_all_parts_are_written() -> None:
    """The file has a heading, and one track for each part, drums among them, with the notes of all bars."""
    tune = TUNES["reel"]
    bars = music_sound.arrange(tune, 1)
    data = midi_file((part for parts in bars for part in parts), tune.plan, "Reel")
    names = {part.name for parts in bars for part in parts}
    assert data.count(b"MTrk") == 1 + len(names)
    assert all(name.encode() in data for name in names)
    assert (300_000).to_bytes(3, "big") in data[:60]
