"""Melodies fitted to syllables."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from homeport.engines.music.score import Bar, Key, Metre, Note, TunePlan
from homeport.engines.music.singing.melody_lines import (
    INTRO_BARS,
    MIN_SYLLABLE_S,
    MelodyCursor,
    Window,
    bars_of_phrase,
    fit_notes,
)

PLAN = TunePlan("reel", Metre(4, 4), Key(2, "major"), 120, 8)
EIGHTH = Fraction(1, 2)


def tune(count: int, upbeat: Fraction = Fraction(0)) -> list[Bar]:
    """Return bars of eighths that rise, whose first may be an upbeat."""
    start = Fraction(0)
    bars = []
    for length in [*([upbeat] if upbeat else []), *[Fraction(4)] * count]:
        notes = tuple(Note(start + EIGHTH * at, EIGHTH, 60 + at) for at in range(int(length / EIGHTH)))
        bars.append(Bar(start, length, notes))
        start += length
    return bars


def test_the_first_phrase_follows_the_intro() -> None:
    """Whole bars are left to the instruments; an upbeat is not counted."""
    for upbeat in (Fraction(0), Fraction(1)):
        notes = MelodyCursor(tune(16, upbeat), PLAN).take(8)
        assert notes[0].start == upbeat + 4 * INTRO_BARS


def test_phrases_follow_each_other_with_a_breath() -> None:
    """Each phrase has its syllables' notes, starts with a bar, and leaves time before the next one."""
    cursor = MelodyCursor(tune(32), PLAN)
    phrases = [cursor.take(count) for count in (9, 4, 12)]
    assert [len(notes) for notes in phrases] == [9, 4, 12]
    assert all(not notes[0].start % 4 for notes in phrases)
    for notes, following in pairwise(phrases):
        assert PLAN.seconds(following[0].start - notes[-1].start - notes[-1].length) > 0.25


def test_a_phrase_that_no_longer_fits_is_not_sung() -> None:
    """At the end of the melody there are no notes."""
    cursor = MelodyCursor(tune(INTRO_BARS + 3), PLAN)
    assert len(cursor.take(8)) == 8
    assert cursor.take(8) == ()


def test_bars_without_notes_have_no_phrase() -> None:
    """A melody of rests ends the song."""
    silent = [Bar(bar.start, bar.length, ()) for bar in tune(16)]
    assert MelodyCursor(silent, PLAN).take(3) == ()


@given(syllables=st.integers(1, 14), bpm=st.floats(20, 400), metre=st.sampled_from([(4, 4), (6, 8), (3, 4), (2, 4)]))
def test_syllables_are_long_enough(syllables: int, bpm: float, metre: tuple[int, int]) -> None:
    """A phrase takes as many bars as its syllables need at any tempo, and not many more."""
    plan = TunePlan("reel", Metre(*metre), Key(0, "major"), bpm, 8)
    count = bars_of_phrase(syllables, plan)
    seconds = count * plan.seconds(plan.metre.bar_length)
    assert seconds >= syllables * MIN_SYLLABLE_S
    assert count == 1 or seconds < 3 * (syllables * MIN_SYLLABLE_S + 1)


@given(lengths=st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=24), count=st.integers(1, 14))
def test_notes_are_joined_and_split(lengths: list[int], count: int) -> None:
    """There are exactly as many notes, without gaps, up to the window's end, and each pitch is one of the melody's."""
    notes = []
    start = Fraction(0)
    for number, length in enumerate(lengths):
        notes.append(Note(start, Fraction(length, 2), 60 + number))
        start += Fraction(length, 2)
    fitted = fit_notes(notes, count, Window(Fraction(0), start, PLAN.metre))
    assert len(fitted) == count
    assert fitted[0].start == 0
    assert all(a.start + a.length == b.start for a, b in pairwise(fitted))
    assert fitted[-1].start + fitted[-1].length == max(start, Fraction(count, 8))
    assert {note.pitch for note in fitted} <= {note.pitch for note in notes}


def test_notes_on_the_beat_are_kept() -> None:
    """Of pairs of eighths the ones on the beats are sung."""
    notes = tune(1)[0].notes
    fitted = fit_notes(notes, 4, Window(Fraction(0), Fraction(4), PLAN.metre))
    assert [(note.start, note.pitch) for note in fitted] == [(Fraction(beat), 60 + 2 * beat) for beat in range(4)]


def test_the_last_syllable_is_not_cut_short() -> None:
    """A note that starts just before the breath is joined with the one before."""
    notes = tune(1)[0].notes
    fitted = fit_notes(notes, 4, Window(Fraction(0), Fraction(31, 10), PLAN.metre))
    assert min(note.length for note in fitted) >= EIGHTH
    assert fitted[-1].start + fitted[-1].length == Fraction(31, 10)
