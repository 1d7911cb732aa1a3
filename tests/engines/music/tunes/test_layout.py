import pytest

from homeport.engines.music.score import Key, Metre
from homeport.engines.music.tunes import layout
from homeport.engines.music.tunes.layout import Echoes, Heading, NoteToken, Place, Vocabulary

FOUR = Heading(0, layout.METRES.index("4/4"), 0)


@pytest.mark.parametrize(
    ("metre", "ticks"), [(Metre(2, 2), 96), (Metre(6, 8), 72), (Metre(9, 8), 108), (Metre(2, 4), 48)]
)
def test_bars_have_the_ticks_of_their_metre(metre: Metre, ticks: int) -> None:
    """A bar of the metre's heading is as long as the metre's bar; 2/2 is as 4/4."""
    heading = layout.heading("air", metre, Key(0, "minor"))
    assert heading.bar_ticks == ticks
    assert layout.quarter_notes(ticks) == metre.bar_length


def test_a_metre_that_was_not_learned_is_refused() -> None:
    """5/4 has no heading."""
    with pytest.raises(ValueError, match="5/4"):
        layout.heading("air", Metre(5, 4), Key(0, "major"))


def test_places_count_down_bars_and_sections() -> None:
    """An upbeat, a section of two bars, then one of three: each place says what is left."""
    half = NoteToken(0, 48)
    sections = [(2, (NoteToken(0, 24), half, half, half, half)), (3, (half,) * 6)]
    found = [place for _, place in layout.places(FOUR, 24, sections)]
    assert layout.opening(FOUR, 24, 2, 1) == Place(72, 3, 1)
    assert found[:3] == [Place(0, 2, 1), Place(48, 2, 1), Place(0, 1, 1)]
    assert found[4:6] == [Place(0, 3, 0), Place(48, 3, 0)]
    assert found[-2] == Place(48, 1, 0)


@pytest.mark.parametrize("bar", [48, 72, 96, 108])
def test_any_allowed_length_leaves_a_bar_that_can_be_filled(bar: int) -> None:
    """Whatever is chosen among the allowed lengths, the bar ends exactly, and triplets are completed."""
    lengths = [3, 4, 6, 8, 12, 16, 18, 24, 36, 48]
    allowed = layout.fills(lengths, bar)
    left = [0]
    seen = set()
    while left:
        tick = left.pop()
        for length in allowed[tick]:
            after = tick + length
            assert after <= bar
            assert tick % 3 == 0 or length % 3
            if after < bar and after not in seen:
                seen.add(after)
                assert allowed[after]
                left.append(after)


def test_echoes_are_what_began_there_some_bars_ago() -> None:
    """At a tick, the tokens of one, two, four and eight bars ago; none where nothing began."""
    echoes = Echoes()
    place = Place(0, 20, 0)
    for bar in range(9):
        following = Place(48, 20, 0)
        echoes.add(Place(0, 20, 0), 100 + bar, following)
        echoes.add(following, 200 + bar, place)
    assert echoes.at(place) == (108, 107, 105, 101)
    assert echoes.at(Place(48, 20, 0)) == (208, 207, 205, 201)
    assert echoes.at(Place(24, 20, 0)) == (Echoes.NONE,) * 4


def test_a_vocabulary_numbers_upbeats_and_notes() -> None:
    """Ids and tokens map to each other; what it lacks is a KeyError."""
    vocabulary = Vocabulary([0, 12], [NoteToken(None, 24), NoteToken(7, 12)])
    assert len(vocabulary) == 5
    assert vocabulary.upbeats[vocabulary.upbeat_id(12) - 1] == 12
    assert vocabulary.note(vocabulary.note_id(NoteToken(7, 12))) == NoteToken(7, 12)
    with pytest.raises(KeyError):
        vocabulary.note_id(NoteToken(8, 12))
