from fractions import Fraction
from pathlib import Path

import pytest

from homeport.engines.music.genres import GENRE_BY_NAME, GENRES
from homeport.engines.music.score import MODES, Bar, Key, Metre, TunePlan
from homeport.engines.music.tunes.composer import Composer, form
from homeport.engines.music.tunes.rules import HIGHEST, LOWEST
from tests.engines.music.tunes import tiny_model


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    return Composer(tiny_model.write(tmp_path_factory.mktemp("model") / "composer.npz"))


def _plan(genre: str = "reel", bars: int = 32, tonic: int = 2, mode: str = "major") -> TunePlan:
    metre = next(iter(GENRE_BY_NAME[genre].tempos))
    return TunePlan(genre, metre, Key(tonic, MODES[MODES.index(mode)]), 120, bars)


def _body(bars: list[Bar], metre: Metre) -> list[Bar]:
    return bars[1:] if bars[0].length < metre.bar_length else bars


@pytest.mark.parametrize("genre", GENRES)
def test_every_bar_is_exactly_full(composer: Composer, genre: str) -> None:
    """In every genre notes follow each other within bars of the metre, which follow each other."""
    plan = _plan(genre)
    for seed in range(4):
        bars = list(composer.compose(plan, seed))
        assert {bar.length for bar in _body(bars, plan.metre)} == {plan.metre.bar_length}
        end = Fraction(0)
        for bar in bars:
            assert bar.start == end
            for note in bar.notes:
                assert end <= note.start
                end = note.start + note.length
            assert end <= bar.start + bar.length
            end = bar.start + bar.length


@pytest.mark.parametrize("tonic", range(12))
def test_a_song_ends_with_the_tonic(composer: Composer, tonic: int) -> None:
    """The last note is the tonic, lasts at least a quarter note and to the end of the only bar that is the last."""
    bars = list(composer.compose(_plan(tonic=tonic, mode="minor"), 3))
    last = bars[-1].notes[-1]
    assert last.pitch % 12 == tonic
    assert last.length >= 1
    assert last.start + last.length == bars[-1].start + bars[-1].length
    assert [bar.is_last for bar in bars] == [False] * (len(bars) - 1) + [True]


@pytest.mark.parametrize("tonic", range(12))
def test_notes_are_within_range(composer: Composer, tonic: int) -> None:
    """All notes are where a fiddle or a voice can reach them."""
    pitches = {note.pitch for bar in composer.compose(_plan(tonic=tonic), 1) for note in bar.notes}
    assert min(pitches) >= LOWEST
    assert max(pitches) <= HIGHEST


@pytest.mark.parametrize(("asked", "given"), [(1, 8), (8, 8), (9, 16), (24, 24), (40, 40), (100, 104)])
def test_sections_have_eight_bars(composer: Composer, asked: int, given: int) -> None:
    """A song has whole sections and at least as many bars as planned."""
    plan = _plan(bars=asked)
    body = _body(list(composer.compose(plan, 0)), plan.metre)
    assert len(body) == given
    assert [index for index, bar in enumerate(body, 1) if bar.ends_section] == list(range(8, given + 1, 8))


def test_sections_are_repeated(composer: Composer) -> None:
    """A tune is played AABB: the repeats have the same notes, the sections different ones."""
    plan = _plan()
    body = _body(list(composer.compose(plan, 0)), plan.metre)
    sections = [[(note.pitch, note.length) for bar in body[at : at + 8] for note in bar.notes] for at in (0, 8, 16, 24)]
    assert sections[0] == sections[1] != sections[2] == sections[3]


def test_the_seed_decides(composer: Composer) -> None:
    """The same seed gives the same song, another seed another."""
    plan = _plan()
    first = list(composer.compose(plan, 7))
    assert first == list(composer.compose(plan, 7))
    assert first != list(composer.compose(plan, 8))


def test_songs_may_be_composed_in_turn(composer: Composer) -> None:
    """Two songs composed bar by bar in turn are those composed one after the other."""
    plan = _plan(bars=16)
    alone = [list(composer.compose(plan, seed)) for seed in (1, 2)]
    first, second = composer.compose(plan, 1), composer.compose(plan, 2)
    together: list[list[Bar]] = [[], []]
    for _ in range(16):
        together[0].append(next(first))
        together[1].append(next(second))
    assert [one[:16] for one in alone] == together


@pytest.mark.parametrize(
    ("sections", "played"),
    [
        (1, [(0, 1)]),
        (2, [(0, 0), (0, 1)]),
        (3, [(0, 0), (0, 0), (0, 1)]),
        (4, [(0, 0), (0, 0), (0, 1), (0, 1)]),
        (5, [(0, 0), (0, 0), (0, 1), (0, 1), (0, 1)]),
        (6, [(0, 0), (0, 0), (0, 1), (0, 1), (0, 0), (0, 1)]),
    ],
)
def test_the_form_ends_with_a_second_part(sections: int, played: list[tuple[int, int]]) -> None:
    """However many sections, the last one is that which closes its tune."""
    assert form(sections) == played


def test_a_tune_is_played_twice_before_the_next() -> None:
    """The third time brings a new tune."""
    assert [tune for tune, _ in form(16)] == [0] * 8 + [1] * 8


def test_new_tunes_have_new_notes(composer: Composer) -> None:
    """The second tune of a long song differs from the first and is as exact."""
    plan = _plan(bars=96)
    body = _body(list(composer.compose(plan, 0)), plan.metre)
    assert {bar.length for bar in body} == {plan.metre.bar_length}
    pitches = [[note.pitch for bar in body[at : at + 8] for note in bar.notes] for at in (0, 64)]
    assert pitches[0] != pitches[1]


def test_the_bundled_model_composes() -> None:
    """The model file of the package loads and writes a tune with more than one length and pitch."""
    path = Path(__file__).parents[4] / "src" / "homeport" / "models" / "bundled" / "homeport-tunes" / "composer.npz"
    bars = list(Composer(path).compose(_plan("jig", 16), 1))
    assert len({note.pitch for bar in bars for note in bar.notes}) > 4
    assert len({note.length for bar in bars for note in bar.notes}) > 1
