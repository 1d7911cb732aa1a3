from fractions import Fraction

import pytest

from recipes.tunes import abc
from recipes.tunes.abc import Tune, UnreadableTuneError


def _tune(body: str, key: str = "C", metre: str = "4/4") -> Tune:
    return abc.read(f"X:7\nT:A tune\nR:Reel\nZ:Somebody\nM:{metre}\nL:1/8\nK:{key}\n{body}\n")


def _notes(tune: Tune) -> list[list[tuple[int | None, Fraction]]]:
    return [[(sound.pitch, sound.length) for sound in bar] for section in tune.sections for bar in section.bars]


def test_the_head_is_read() -> None:
    """Number, title, rhythm, transcriber, metre and key."""
    tune = _tune("C8|", key="F#m", metre="C|")
    assert (tune.number, tune.title, tune.rhythm, tune.transcriber) == (7, "A tune", "reel", "Somebody")
    assert (tune.metre, tune.tonic, tune.sharps) == ((2, 2), 6, 3)


@pytest.mark.parametrize(
    ("key", "tonic", "sharps"),
    [("G", 7, 1), ("Am", 9, 0), ("Bb", 10, -2), ("Ador", 9, 1), ("D Mix", 2, 1), ("E Minor", 4, 1), ("Eb", 3, -3)],
)
def test_keys_have_their_signature(key: str, tonic: int, sharps: int) -> None:
    """Of major, minor and the modes."""
    tune = _tune("C8|", key=key)
    assert (tune.tonic, tune.sharps) == (tonic, sharps)


def test_pitches_follow_signature_accidentals_and_octaves() -> None:
    """F is sharp in D, a natural holds to the end of the bar, marks and case give octaves."""
    assert [pitch for bar in _notes(_tune("F =F F f F, f' | F", key="D")) for pitch, _ in bar] == [
        66,
        65,
        65,
        78,
        54,
        90,
        66,
    ]


def test_lengths_are_exact() -> None:
    """Multiples, halves, dotted pairs, triplets and ties."""
    lengths = [length for bar in _notes(_tune("C2 D/ E3/2 F>G A<<B (3CDE c-c z")) for _, length in bar]
    eighth = Fraction(1, 2)
    expected: list[Fraction | int] = [2, Fraction(1, 2), Fraction(3, 2), Fraction(3, 2)]
    expected += [Fraction(1, 2), Fraction(1, 4), Fraction(7, 4)]
    assert lengths == [eighth * value for value in [*expected, *[Fraction(2, 3)] * 3, 2, 1]]


def test_sections_end_at_double_bars_and_repeats() -> None:
    """Repeats are not written out, and the second ending stands for both."""
    tune = _tune("|:CCCC CCCC|1 DDDD DDDD:|2 EEEE EEEE|| FFFF FFFF|]")
    assert [[bar[0].pitch for bar in section.bars] for section in tune.sections] == [[60, 64], [65]]


def test_marks_for_players_are_skipped() -> None:
    """Chord names, grace notes, bows and fingers, slurs, comments."""
    assert _notes(_tune('"Am"v(C{de}D) .E2 !trill!~F2 "4"G2|% a comment')) == _notes(_tune("CD E2 F2 G2|"))


def test_chords_are_their_highest_note() -> None:
    """As a melody has one note at a time."""
    assert _notes(_tune("[CEG]4 [A,2C2]")) == _notes(_tune("G4 C2"))


@pytest.mark.parametrize("body", ["C4|\nK:D\nC4|", "C4 [K:D] C4|", "(5CDEFG C4|", "C4 & D4|"])
def test_what_cannot_be_read_for_sure_is_refused(body: str) -> None:
    """Changes of key, rare tuplets, two voices."""
    with pytest.raises(UnreadableTuneError):
        _tune(body)


def test_a_file_is_split_into_tunes() -> None:
    """By their numbers; text between tunes belongs to none."""
    assert [abc.read(text).number for text in abc.split("% book\n\nX:1\nM:4/4\nK:C\nC\n\nX:2\nM:4/4\nK:C\nD\n")] == [
        1,
        2,
    ]
