"""Sound of parts."""

from fractions import Fraction

import numpy as np
import pytest

from bench import music_sound
from bench.written_tunes import TUNES
from homeport.engines.music.parts import Part, PlayedNote
from homeport.engines.music.sampler import instruments
from homeport.engines.music.sampler.instruments import RATE
from homeport.engines.music.sampler.sampler import Sampler, limited
from homeport.engines.music.score import Key, Metre, TunePlan
from recipes.instruments.measures import centroid_hz, largest_step, level_db, pitch_error_cents

PLAN = TunePlan("reel", Metre(4, 4), Key(0, "major"), 120, 8)


def _part(instrument: str, *notes: tuple[float, float, int], pan: float = 0.0, reverb: float = 1.0) -> Part:
    played = tuple(PlayedNote(Fraction(start), Fraction(length), pitch, 90) for start, length, pitch in notes)
    return Part(instrument, instrument, played, pan=pan, reverb=reverb)


def _rendered(parts: list[Part], *until: float) -> np.ndarray:
    sampler = Sampler()
    blocks = [sampler.render(parts if at == until[0] else [], PLAN, Fraction(at)) for at in until]
    return np.concatenate([*blocks, sampler.finish()])


CHORD = [
    _part("piano", (0, 3, 60), (0, 3, 64), (2, 4, 67)),
    _part("fiddle", (0.5, 5, 76), pan=0.4),
    _part("drums", (1, 1, 38)),
]


def test_blocks_join() -> None:
    """Rendering in blocks of any length, shorter than notes and reverb, gives what rendering at once gives."""
    whole = _rendered(CHORD, 8)
    parts = _rendered(CHORD, 0.01, 0.5, 0.75, 2, 3.3, 6, 8)
    assert len(whole) == len(parts)
    np.testing.assert_allclose(parts, whole, atol=2e-5)


def test_a_block_has_its_length() -> None:
    """A call returns the samples up to `until`, by the plan's tempo, and they are stereo."""
    sampler = Sampler()
    assert sampler.render([], PLAN, Fraction(2)).shape == (RATE, 2)
    assert sampler.render(CHORD[:0], PLAN, Fraction(3)).shape == (RATE // 2, 2)


def test_the_same_parts_give_the_same_bytes() -> None:
    """Two samplers render the same samples, also when instruments were played before at other lengths."""
    first = _rendered(CHORD, 2, 8)
    _rendered([_part("fiddle", (0, 20, 76)), _part("piano", (0, 12, 60))], 24)
    assert first.tobytes() == _rendered(CHORD, 2, 8).tobytes()


def test_notes_sound_when_they_should() -> None:
    """It is silent before a note, loud while it is held, and silent again at the end of the reverb."""
    sound = _rendered([_part("accordion", (2, 2, 72))], 8)
    assert level_db(sound[: RATE - 1]) == -120
    assert level_db(sound[int(1.2 * RATE) : 2 * RATE]) > -30
    assert level_db(sound[-RATE // 10 :]) < -60


def test_notes_start_and_end_without_clicks() -> None:
    """A note's onset and release change from sample to sample no more than its tone does."""
    sound = _rendered([_part("flute", (1, 1, 72), (3, 0.3, 72))], 6)
    held = sound[int(0.7 * RATE) : int(0.9 * RATE)]
    assert largest_step(sound) < 1.5 * largest_step(held)


def test_loops_do_not_click() -> None:
    """A note that is held much longer than its recording goes on without clicks and keeps its level."""
    for name in ("fiddle", "flute", "clarinet", "accordion", "strings", "bagpipe"):
        sound = _rendered([_part(name, (0, 16, 74))], 16)
        early, late = sound[RATE // 2 : RATE * 3 // 2], sound[6 * RATE : 7 * RATE]
        assert largest_step(late) < 2 * largest_step(early), name
        assert abs(level_db(early) - level_db(late)) < 6, name


def test_pan_places_a_part() -> None:
    """A part that is panned to the left is louder there, and as loud in all as in the middle."""
    left = _rendered([_part("clarinet", (0, 4, 67), pan=-0.8, reverb=0)], 4)
    middle = _rendered([_part("clarinet", (0, 4, 67), reverb=0)], 4)
    assert level_db(left[:, 0]) > level_db(left[:, 1]) + 10
    assert abs(level_db(left) - level_db(middle)) < 0.1


def test_velocity_is_loudness() -> None:
    """A note struck at half the velocity is about 12 dB softer."""
    soft, loud = (Part("a", "harp", (PlayedNote(Fraction(0), Fraction(2), 64, v),)) for v in (50, 100))
    assert level_db(_rendered([loud], 2)) - level_db(_rendered([soft], 2)) == pytest.approx(12.04, abs=0.1)


def test_late_notes_and_unknown_instruments_are_refused() -> None:
    """A note in what is rendered already is a ValueError, an unknown instrument a KeyError."""
    sampler = Sampler()
    sampler.render([], PLAN, Fraction(4))
    with pytest.raises(ValueError, match="rendered already"):
        sampler.render([_part("piano", (3, 1, 60))], PLAN, Fraction(8))
    with pytest.raises(KeyError):
        sampler.render([_part("theremin", (4, 1, 60))], PLAN, Fraction(8))


def test_nothing_is_clipped() -> None:
    """However much plays, no sample leaves the range; soft sound is left as it is."""
    many = [_part(name, *((0, 4, pitch) for pitch in range(48, 84))) for name in ("piano", "strings", "accordion")]
    assert 0.9 < float(np.max(np.abs(_rendered(many, 4)))) <= 0.981
    soft = np.linspace(-0.7, 0.7, 99, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(limited(soft), soft)


@pytest.mark.parametrize("name", ["reel", "air", "march"])
def test_tunes_are_balanced(name: str) -> None:
    """An arranged tune is as loud as music, hardly reaches the limiter, and is neither dull nor shrill nor silent."""
    tune = TUNES[name]
    sound = music_sound.render(tune, music_sound.arrange(tune, 1))
    assert -20 < level_db(sound) < -12
    assert float(np.mean(np.abs(sound) > 0.75)) < 0.001
    assert 1200 < centroid_hz(sound.mean(axis=1), RATE) < 5000
    seconds = np.split(sound[: len(sound) // RATE * RATE], len(sound) // RATE)
    assert min(level_db(second) for second in seconds[:-3]) > -36
    assert abs(level_db(sound[:, 0]) - level_db(sound[:, 1])) < 4


@pytest.mark.parametrize(
    "instrument", [one for one in instruments.load().instruments if not one.is_drums], ids=lambda one: one.name
)
def test_instruments_are_in_tune(instrument: instruments.Instrument) -> None:
    """Each key of an instrument's range sounds within 30 cents of its pitch."""
    assert music_sound.largest_error(instrument) <= 30


def test_pitch_is_measured() -> None:
    """The measure of pitch finds by how much a tone is sharp, also where its harmonics are louder."""
    times = np.arange(RATE // 2) / RATE
    hertz = 440 * 2 ** (27 / 1200)
    tone = sum(np.sin(2 * np.pi * hertz * n * times) * level for n, level in ((1, 0.3), (2, 1.0), (3, 0.8)))
    assert pitch_error_cents(np.asarray(tone, np.float32), RATE, 69) == pytest.approx(27, abs=1)
