"""Chords for melodies."""

from fractions import Fraction
from itertools import pairwise

import pytest

from bench.written_tunes import TUNES
from homeport.engines.music.harmony import ChordSpan, Harmony
from homeport.engines.music.score import Bar, Key, Metre, Mode, Note, TunePlan


def _plan(mode: Mode = "major", tonic: int = 0) -> TunePlan:
    return TunePlan("reel", Metre(4, 4), Key(tonic, mode), 100, 8)


def _bar(index: int, pitches: list[int], *, ends_section: bool = False, is_last: bool = False) -> Bar:
    length = Fraction(4, len(pitches))
    start = Fraction(4 * index)
    notes = tuple(Note(start + n * length, length, pitch) for n, pitch in enumerate(pitches))
    return Bar(start, Fraction(4), notes, ends_section, is_last)


def _degrees(spans: tuple[ChordSpan, ...]) -> list[str]:
    return [span.chord.degree for span in spans]


@pytest.mark.parametrize(
    ("pitches", "degree"), [([60, 64, 67, 64], "I"), ([65, 69, 72, 69], "IV"), ([62, 67, 71, 67], "V")]
)
def test_a_broken_chord_is_recognized(pitches: list[int], degree: str) -> None:
    """A bar that consists of a chord's tones gets that chord alone."""
    harmony = Harmony(_plan())
    harmony.chords(_bar(0, [60, 64, 67, 72]))
    assert _degrees(harmony.chords(_bar(1, pitches))) == [degree]


def test_a_chord_changes_inside_a_bar() -> None:
    """A bar whose halves outline two chords gets both, the second from the bar's middle on."""
    spans = Harmony(_plan()).chords(_bar(0, [60, 64, 67, 64, 67, 71, 74, 71]))
    assert _degrees(spans) == ["I", "V"]
    assert spans[1].start == 2


def test_a_section_ends_on_tonic_or_dominant() -> None:
    """At a section's end a note that fits several chords gets the tonic's."""
    harmony = Harmony(_plan())
    for index in range(7):
        harmony.chords(_bar(index, [65, 69, 65, 72]))
    assert _degrees(harmony.chords(_bar(7, [60], ends_section=True)))[-1] == "I"
    other = Harmony(_plan())
    other.chords(_bar(0, [65, 69, 65, 72]))
    assert _degrees(other.chords(_bar(1, [69, 72, 69, 72])))[-1] != "I"


@pytest.mark.parametrize("pitch", range(60, 72))
def test_a_tune_ends_on_the_tonic(pitch: int) -> None:
    """The last chord is that of the tonic, whatever the last note is."""
    spans = Harmony(_plan("dorian", 2)).chords(_bar(0, [pitch], ends_section=True, is_last=True))
    assert (spans[-1].chord.degree, spans[-1].chord.root) == ("i", 2)


@pytest.mark.parametrize("name", TUNES)
def test_chords_leave_no_gap(name: str) -> None:
    """The chords of a tune follow each other from its start to its end."""
    tune = TUNES[name]
    harmony = Harmony(tune.plan)
    spans = [span for bar in tune.bars for span in harmony.chords(bar)]
    assert all(one.start + one.length == other.start for one, other in pairwise(spans))
    assert spans[0].start == 0
    assert spans[-1].start + spans[-1].length == tune.bars[-1].start + tune.bars[-1].length


@pytest.mark.parametrize("name", TUNES)
def test_chords_fit_the_melody(name: str) -> None:
    """More than half of a melody's time is spent on tones of the chords, and no one chord has more than four fifths."""
    tune = TUNES[name]
    harmony = Harmony(tune.plan)
    fitting, total, by_degree = Fraction(0), Fraction(0), dict[str, Fraction]()
    for bar in tune.bars:
        for span in harmony.chords(bar):
            by_degree[span.chord.degree] = by_degree.get(span.chord.degree, Fraction(0)) + span.length
            for note in bar.notes:
                overlap = min(note.start + note.length, span.start + span.length) - max(note.start, span.start)
                total += max(overlap, Fraction(0))
                fitting += max(overlap, Fraction(0)) * (note.pitch % 12 in span.chord.pitch_classes)
    assert fitting / total > Fraction(55, 100)
    assert max(by_degree.values()) / sum(by_degree.values()) < Fraction(4, 5)


@pytest.mark.parametrize("mode", ["dorian", "mixolydian"])
def test_modes_avoid_the_leading_note(mode: Mode) -> None:
    """In dorian and mixolydian no chord has the leading note of the major key, which would weaken the mode."""
    harmony = Harmony(_plan(mode))
    chords = [span.chord for pitch in range(60, 84) for span in harmony.chords(_bar(pitch - 60, [pitch, pitch + 4]))]
    assert len({chord.degree for chord in chords}) > 2
    assert not any(11 in chord.pitch_classes for chord in chords)
