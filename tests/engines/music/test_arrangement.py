"""Arrangements of written tunes."""

from fractions import Fraction

import msgspec
import pytest

from bench.written_tunes import TUNES, WrittenTune
from homeport.engines.music.arrangement import Arranger
from homeport.engines.music.parts import Part
from homeport.engines.music.sampler import instruments
from homeport.engines.music.score import Bar, Metre, Note, TunePlan

LAST_SEED = 6


def _arranged(tune: WrittenTune, seed: int) -> list[tuple[Part, ...]]:
    arranger = Arranger(tune.plan, seed)
    return [arranger.arrange(bar) for bar in tune.bars]


def _with(plan: TunePlan, **changes: object) -> TunePlan:
    return msgspec.structs.replace(plan, **changes)


@pytest.mark.parametrize("name", TUNES)
def test_notes_start_in_their_bar(name: str) -> None:
    """With any seed, every note starts in its bar, none has no length, and all are within MIDI's ranges."""
    tune = TUNES[name]
    for seed in range(LAST_SEED):
        for bar, parts in zip(tune.bars, _arranged(tune, seed), strict=True):
            notes = [note for part in parts for note in part.notes]
            assert all(bar.start <= note.start < bar.start + bar.length for note in notes)
            assert all(note.length > 0 and 0 <= note.pitch < 128 and 1 <= note.velocity < 128 for note in notes)


@pytest.mark.parametrize("name", TUNES)
def test_instruments_play_within_their_range(name: str) -> None:
    """Chords, bass and pad stay in the ranges of their instruments, and drums among the keys that are recorded."""
    tune = TUNES[name]
    recorded = instruments.load()
    for seed in range(LAST_SEED):
        for part in (part for parts in _arranged(tune, seed) for part in parts):
            instrument = recorded.instrument(part.instrument)
            for note in part.notes:
                zone = instrument.zone(note.pitch)
                assert instrument.range[0] <= note.pitch <= instrument.range[1] or part.name in {"melody", "second"}
                assert not instrument.is_drums or zone.keys[0] <= note.pitch <= zone.keys[1]


@pytest.mark.parametrize("name", TUNES)
def test_the_melody_is_kept(name: str) -> None:
    """The melody part has the tune's notes in order; what it adds are grace notes."""
    tune = TUNES[name]
    for bar, parts in zip(tune.bars, _arranged(tune, 3), strict=True):
        assert [part.is_melody for part in parts] == [True] + [False] * (len(parts) - 1)
        played = [note.pitch for note in parts[0].notes if note.length > Fraction(1, 10)]
        assert played == [note.pitch for note in bar.notes]


def test_a_seed_decides() -> None:
    """The same seed gives the same arrangement, and among some seeds instruments and patterns differ."""
    tune = TUNES["reel"]
    assert _arranged(tune, 5) == _arranged(tune, 5)
    found = {tuple((part.name, part.instrument) for part in _arranged(tune, seed)[-2]) for seed in range(LAST_SEED)}
    assert len(found) > 3


def test_more_play_in_later_sections() -> None:
    """A tune's third section has more parts than its first."""
    bars = _arranged(TUNES["waltz"], 1)
    assert len(bars[17]) > len(bars[1])


def test_the_last_chord_is_held() -> None:
    """In the last bar the bass plays one note, the tonic, as long as the bar."""
    tune = TUNES["jig"]
    bass = next(part for part in _arranged(tune, 1)[-1] if part.name == "bass")
    assert [(note.pitch % 12, note.length) for note in bass.notes] == [(2, Fraction(3))]


def test_sections_end_with_a_fill() -> None:
    """The drums of a section's last bar play other keys than those of the bar before."""
    drums = [
        {note.pitch for part in parts if part.name == "drums" for note in part.notes}
        for parts in _arranged(TUNES["reel"], 1)
    ]
    assert drums[6]
    assert drums[7] - drums[6]


def test_an_upbeat_is_played_alone() -> None:
    """An upbeat has a melody and nothing else, and does not count as a bar of the section."""
    plan = TUNES["reel"].plan
    upbeat = Bar(Fraction(0), Fraction(1), (Note(Fraction(0), Fraction(1), 69),))
    assert [part.name for part in Arranger(plan, 1).arrange(upbeat)] == ["melody"]


def test_hornpipes_are_swung() -> None:
    """In a hornpipe the second of two eighths comes after two thirds of the beat, in a reel after the half."""
    places = {
        name: {
            note.start % 1
            for parts in _arranged(TUNES[name], 1)
            for note in parts[0].notes
            if note.length > Fraction(1, 5)
        }
        for name in ("hornpipe", "reel")
    }
    assert Fraction(2, 3) in places["hornpipe"]
    assert Fraction(1, 2) not in places["hornpipe"]
    assert Fraction(2, 3) not in places["reel"]


@pytest.mark.parametrize("metre", [Metre(5, 4), Metre(12, 8), Metre(3, 8), Metre(2, 2)])
def test_any_metre_is_accompanied(metre: Metre) -> None:
    """A metre and a genre without patterns of their own get chords and a bass all the same."""
    plan = _with(TUNES["reel"].plan, metre=metre, genre="tarantella")
    length = metre.bar_length
    parts = Arranger(plan, 1).arrange(Bar(Fraction(0), length, (Note(Fraction(0), length, 62),)))
    assert {"chords", "bass"} <= {part.name for part in parts}
    assert all(note.start + note.length <= length for part in parts for note in part.notes if part.name == "bass")
