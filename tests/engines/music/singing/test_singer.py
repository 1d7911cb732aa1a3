"""Singing on the real model."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import pyworld

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.engines.music.score import Bar, Key, Metre, Note, TunePlan
from homeport.engines.music.singing.melody_lines import INTRO_BARS
from homeport.engines.music.singing.singer import SONG_RATE, Singer, SungPhrase, vocal_range

PLAN = TunePlan("air", Metre(4, 4), Key(0, "major"), 120, 8)
PITCHES = (72, 76, 74, 79)


@pytest.fixture(scope="module")
def singer(kokoro: Mapping[str, Path]) -> Singer:
    """A singer with the installed voices."""
    return Singer(kokoro, threads=2)


def tune(count: int) -> list[Bar]:
    """Return bars of four quarter notes."""
    bars = []
    for number in range(count):
        start = Fraction(4 * number)
        notes = tuple(Note(start + at, Fraction(1), pitch) for at, pitch in enumerate(PITCHES))
        bars.append(Bar(start, Fraction(4), notes))
    return bars


def sing(singer: Singer, lyrics: str, voice: str = "coral", bars: int = 8) -> list[SungPhrase]:
    """Sing all that fits."""
    return list(singer.sing(lyrics, tune(bars), PLAN, voice))


@pytest.mark.parametrize(
    ("lyrics", "voice"), [("A letter came on Sunday from a girl I used to know", "coral"), ("月亮代表我的心", "verse")]
)
def test_notes_have_their_pitch_and_time(singer: Singer, lyrics: str, voice: str) -> None:
    """Vowels start with their note and have its pitch, and all notes are in the voice's range."""
    (phrase,) = sing(singer, lyrics, voice)
    pitch, times = pyworld.harvest(phrase.samples.astype(np.float64), SONG_RATE, frame_period=10.0)
    errors = []
    for note in phrase.notes:
        onset = note.start - phrase.start
        start, end = (PLAN.seconds(onset + note.length * part) for part in (Fraction(3, 20), Fraction(1, 2)))
        heard = pitch[(times > start) & (times < end) & (pitch > 0)]
        written = 440 * 2 ** ((note.pitch - 69) / 12)
        errors.append(abs(1200 * np.log2(np.median(heard) / written)) if heard.size else np.inf)
    assert np.mean(np.array(errors) <= 30) >= 0.9, errors
    low, high = vocal_range("zm" if voice == "verse" else "af")
    assert all(low <= note.pitch <= high for note in phrase.notes)
    assert {note.pitch % 12 for note in phrase.notes} <= {pitch % 12 for pitch in PITCHES}


def test_a_phrase_is_as_long_as_its_notes(singer: Singer) -> None:
    """It starts shortly before its first note, which follows the intro, and ends shortly after its last."""
    (phrase,) = sing(singer, "The river runs")
    assert phrase.notes[0].start == 4 * INTRO_BARS
    assert 0 <= PLAN.seconds(phrase.notes[0].start - phrase.start) < 0.5
    ends = phrase.start + Fraction(len(phrase.samples) * 2, SONG_RATE)
    assert abs(ends - phrase.notes[-1].start - phrase.notes[-1].length) < Fraction(1, 2)
    assert phrase.samples.dtype == np.float32
    assert phrase.samples.ndim == 1
    assert 0.1 < np.abs(phrase.samples).max() < 1.2


def test_the_same_lyrics_are_the_same_bytes(singer: Singer) -> None:
    """Singing has no chance in it."""
    first, second = (sing(singer, "Hold on") for _ in range(2))
    assert [phrase.samples.tobytes() for phrase in first] == [phrase.samples.tobytes() for phrase in second]


def test_a_song_needs_as_many_bars_as_it_takes(singer: Singer) -> None:
    """With the number of bars that is asked for, all phrases are sung; with one fewer, the last is not."""
    lyrics = "One by one\n[Chorus]\nthe lanterns go dark along the harbor\n月亮"
    count = singer.bars(lyrics, PLAN, "coral")
    assert len(sing(singer, lyrics, bars=count)) == 3
    assert len(sing(singer, lyrics, bars=count - 1)) == 2


def test_phrases_are_made_one_by_one(singer: Singer) -> None:
    """A song that is closed after its first phrase reads no more of the melody."""
    taken: list[Bar] = []
    melody = (taken.append(bar) or bar for bar in tune(64))  # type: ignore[func-returns-value]
    phrases = singer.sing("Row your boat\n" * 20, melody, PLAN, "coral")
    next(phrases)
    phrases.close()
    assert len(taken) == INTRO_BARS + 1


def test_what_cannot_be_sung_is_refused_at_once(singer: Singer) -> None:
    """An unknown voice and unreadable lyrics are errors before anything is computed."""
    for lyrics, voice, param in (("La la", "nobody", "voice"), ("Привет", "coral", "lyrics")):
        with pytest.raises(InvalidRequest) as refused:
            singer.sing(lyrics, tune(8), PLAN, voice)
        assert refused.value.param == param


def test_other_exports_are_refused(kokoro: Mapping[str, Path], tmp_path: Path) -> None:
    """Files that are missing, no model, or a model without the parts to sing with, do not load."""
    with pytest.raises(Unavailable, match="pull it again"):
        Singer({"weights": kokoro["weights"]}, 1)
    (tmp_path / "no.onnx").write_bytes(b"GGUF")
    with pytest.raises(Unavailable, match="does not load"):
        Singer({**kokoro, "weights": tmp_path / "no.onnx"}, 1)
    (tmp_path / "other.onnx").write_bytes(b"\x3a\x00")
    with pytest.raises(Unavailable, match="not sing"):
        Singer({**kokoro, "weights": tmp_path / "other.onnx"}, 1)
