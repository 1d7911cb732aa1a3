import pytest

from homeport.engines.music.score import MODES
from homeport.engines.music.tunes.layout import NoteToken
from recipes.tunes import abc, abc_writer, songs
from recipes.tunes.figures import bars, copied_runs, figures
from recipes.tunes.songs import IrregularTuneError, Song


def _song(body: str, key: str = "C", metre: str = "4/4", title: str = "T") -> Song:
    return songs.song(abc.read(f"X:1\nT:{title}\nM:{metre}\nL:1/8\nK:{key}\n{body}\n"), "a book", 0)


def _lengths(song: Song, index: int) -> list[int]:
    return [sum(note.ticks for note in bar) for bar in bars(song, index)]


def test_upbeats_complete_the_bars_before_them() -> None:
    """The short last bar of a section takes the next upbeat, and the last note of all lasts to the end of its bar."""
    song = _song("G2|C4 C4|D4 D2:|E2|F4 F4|C6:|")
    assert song.upbeat == 24
    assert [count for count, _ in song.sections] == [2, 2]
    assert _lengths(song, 0) == _lengths(song, 1) == [96, 96]
    assert bars(song, 0)[-1][-1] == NoteToken(4, 24)
    assert bars(song, 1)[-1] == (NoteToken(0, 96),)


def test_a_bar_divided_by_a_sign_is_one() -> None:
    """Two short bars in the middle of a section."""
    assert _lengths(_song("C8|D8|E4|F4|C8|"), 0) == [96] * 4


@pytest.mark.parametrize("body", ["C8|D7|E8|C8|", "C8|D9|C8|", "C8|", "z8|z8|"])
def test_irregular_tunes_are_refused(body: str) -> None:
    """Bars that do not add up, too few bars, no notes."""
    with pytest.raises(IrregularTuneError):
        _song(body)


@pytest.mark.parametrize(
    ("key", "body", "mode", "last"),
    [
        ("G", "G8|B8|d8|G8|", "major", 0),
        ("G", "E8|G8|E8|E8|", "minor", 0),
        ("G", "A8|c8|A8|A8|", "dorian", 0),
        ("Ador", "A8|c8|A8|G8|", "dorian", -2),
    ],
)
def test_the_tonic_is_where_a_tune_rests(key: str, body: str, mode: str, last: int) -> None:
    """The declared tonic, or the last note if it sounds longer and the scale has a mode on it."""
    song = _song(body, key=key)
    assert MODES[song.heading.mode] == mode
    assert song.sections[-1][1][-1].pitch == last


def test_settings_of_a_tune_are_held_out_together() -> None:
    """Articles, order and kind do not count in a title."""
    assert songs.plain_title("The Blackbird") == songs.plain_title("Blackbird, The (second setting)")
    assert songs.plain_title("The Blackbird") != songs.plain_title("The Thrush")


def test_songs_survive_json() -> None:
    """What is written is what is read."""
    song = _song("G2|C4 z4|D4 D2:|E2|F4 F4|C6:|")
    assert Song.from_json(song.to_json()) == song


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(("key", "body"), [("C", "^C D _E E F ^F G2|_A A _B B c4|"), ("Am", "A ^G A2 E ^F ^G2|A8|")])
def test_written_abc_reads_as_the_same_song(tonic: int, key: str, body: str) -> None:
    """On any tonic, with notes outside the scale."""
    song = _song(body, key=key)
    again = songs.song(abc.read(abc_writer.written(song, 1, "T", tonic)), "a book", 0)
    assert (again.heading, again.sections) == (song.heading, song.sections)


def test_figures_count_sections_and_closes() -> None:
    """A section of four bars that ends on the tonic, with one bar heard before."""
    found = figures([_song("C2D2E2F2|C2D2E2F2|E4 c4|C8|")])
    assert (found.sections, found.ends_on_tonic, found.cadences, found.repeated_bars) == (100, 100, 100, 25)
    assert figures([_song("C8|D8|F8|")]).cadences == 0


def test_copied_runs_are_counted_within_songs() -> None:
    """The longest run of another song, on any tonic; runs do not continue from one song to the next."""
    trained = [_song("CDEF GABc|C8|"), _song("FFFF GGGG|C8|")]
    same, other = _song("DEFG ABcd|D8|", key="Dmix"), _song("zzEF GAzz|zC z6|")
    assert copied_runs([_song("CDEF GABc|C8|"), other], trained) == [9, 4]
    assert copied_runs([same], trained)[0] == 6
