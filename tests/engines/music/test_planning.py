import re

import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.domain.errors import InvalidRequest
from homeport.engines.music.genres import GENRE_BY_NAME, GENRES
from homeport.engines.music.planning import PlanFields, plan_tune, read_key
from homeport.engines.music.score import Key, Metre
from homeport.engines.music.tunes import layout


def _fields(prompt: str = "", seconds: float = 30, seed: int = 1, **given: object) -> PlanFields:
    return PlanFields(prompt, seconds, seed, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prompt", "genre"),
    [
        ("a jig please", "jig"),
        ("Two Slip Jigs!", "slip jig"),
        ("an elegant waltz for a wedding", "waltz"),
        ("一首忧伤的华尔兹", "waltz"),
        ("给宝宝的摇篮曲", "lullaby"),
        ("雄壮的进行曲", "march"),
        ("a sea shanty of pirates", "hornpipe"),
        ("欢快的波尔卡", "polka"),
    ],
)
def test_words_of_a_prompt_name_the_genre(prompt: str, genre: str) -> None:
    """In English and in Chinese, whatever the case and number."""
    assert plan_tune(_fields(prompt), None).genre == genre


def test_a_word_within_another_does_not_count() -> None:
    """No reel is in "freely", no air in "fairy"."""
    genres = {plan_tune(_fields("freely fairy jigsaw", seed=seed), None).genre for seed in range(40)}
    assert len(genres) > 5


@pytest.mark.parametrize("genre", GENRES)
def test_the_field_wins_over_the_prompt(genre: str) -> None:
    """A given genre is used whatever the prompt says, in a metre that was learned."""
    plan = plan_tune(_fields("a waltz", genre=genre.upper()), None)
    assert plan.genre == genre
    assert plan.metre in GENRE_BY_NAME[genre].tempos
    layout.heading(GENRE_BY_NAME[genre].style, plan.metre, plan.key)


@pytest.mark.parametrize(("genre", "near"), [("waltzz", "waltz"), ("rell", "reel"), ("lulaby", "lullaby")])
def test_an_unknown_genre_is_refused_naming_near_ones(genre: str, near: str) -> None:
    """The error names the field, the near genre and all genres."""
    with pytest.raises(InvalidRequest, match=f"Did you mean .*{near}.*strathspey") as caught:
        plan_tune(_fields(genre=genre), None)
    assert caught.value.info.param == "genre"


def test_a_genre_near_to_none_is_refused() -> None:
    """Without a near one the error lists the genres."""
    with pytest.raises(InvalidRequest, match=r"is unknown\. Genres are reel, jig"):
        plan_tune(_fields(genre="qqqq"), None)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("D minor", Key(2, "minor")),
        ("Am", Key(9, "minor")),
        ("F#", Key(6, "major")),
        ("Bb", Key(10, "major")),
        ("bb major", Key(10, "major")),
        ("C#m", Key(1, "minor")),
        ("E dorian", Key(4, "dorian")),
        ("A mixolydian", Key(9, "mixolydian")),
        ("Cb", Key(11, "major")),
        ("E flat minor", Key(3, "minor")),
        ("G大调", Key(7, "major")),
        ("d小调", Key(2, "minor")),
    ],
)
def test_keys_are_read(text: str, key: Key) -> None:
    """As musicians write them."""
    assert read_key(text) == key
    assert plan_tune(_fields(key=text), None).key == key


@pytest.mark.parametrize("text", ["", "H minor", "D lydian", "CM", "D minor please", "x" * 5000])
def test_an_unknown_key_is_refused_naming_near_ones(text: str) -> None:
    """The error names the field and keys that exist, and stays short."""
    with pytest.raises(InvalidRequest, match=r"Near ones are [A-G]") as caught:
        plan_tune(_fields(key=text), None)
    assert caught.value.info.param == "key"
    assert len(caught.value.info.message) < 600
    near = re.findall(r"[A-G][#b]? (?:major|minor|dorian|mixolydian)", caught.value.info.message)
    assert all(read_key(name) for name in near)


@pytest.mark.parametrize(
    ("prompt", "mode"),
    [("a sad air", "minor"), ("忧伤的曲调", "minor"), ("a happy march", "major"), ("快乐的歌曲", "major")],
)
def test_moods_choose_the_mode(prompt: str, mode: str) -> None:
    """Sad is minor and happy major, in either language, with any seed."""
    assert {plan_tune(_fields(prompt, seed=seed), None).key.mode for seed in range(10)} == {mode}


@pytest.mark.parametrize(
    ("prompt", "key"), [("in E minor", Key(4, "minor")), ("a march in Bb major", Key(10, "major"))]
)
def test_a_prompt_may_name_the_key(prompt: str, key: Key) -> None:
    """Where the field is not given."""
    assert plan_tune(_fields(prompt), None).key == key


def test_a_major_thing_is_no_key() -> None:
    """The article is not the note A."""
    assert len({plan_tune(_fields("a major event", seed=seed), None).key.tonic for seed in range(20)}) > 1


def test_a_mood_chooses_the_tempo() -> None:
    """A slow reel is slower than any other, a fast one faster."""
    slow, fast = GENRE_BY_NAME["reel"].tempos[Metre(4, 4)]
    assert plan_tune(_fields("a slow reel"), None).bpm < slow
    assert plan_tune(_fields("a fast reel", seconds=17), None).bpm > fast


@pytest.mark.parametrize("fields", [_fields("a jig", bpm=90), _fields("a jig at 90 bpm")])
def test_a_given_tempo_is_kept(fields: PlanFields) -> None:
    """By the field or in the prompt."""
    assert plan_tune(fields, None).bpm == 90


@pytest.mark.parametrize("bpm", [0, 19, 401, float("inf"), float("nan")])
def test_an_impossible_tempo_is_refused(bpm: float) -> None:
    """The error names the field."""
    with pytest.raises(InvalidRequest, match="from 20 to 400") as caught:
        plan_tune(_fields(bpm=bpm), None)
    assert caught.value.info.param == "bpm"


@pytest.mark.parametrize("genre", GENRES)
@pytest.mark.parametrize("seconds", [30, 60, 180])
def test_a_song_lasts_about_as_long_as_asked(genre: str, seconds: float) -> None:
    """Whole sections: within half of one, and nearer where the tempo can give way."""
    for seed in range(5):
        plan = plan_tune(_fields(seconds=seconds, genre=genre, seed=seed), None)
        assert plan.bars % 8 == 0
        section = plan.seconds(8 * plan.metre.bar_length)
        assert abs(plan.seconds(plan.bars * plan.metre.bar_length) - seconds) <= section / 2 + 0.01


def test_the_seed_decides_what_is_left_open() -> None:
    """The same seed gives the same plan; seeds differ in genre, key and tempo."""
    plans = [plan_tune(_fields(seed=seed), None) for seed in range(30)]
    assert plans[3] == plan_tune(_fields(seed=3), None)
    assert len({plan.genre for plan in plans}) > 5
    assert len({plan.key for plan in plans}) > 3


def test_other_prompts_get_the_nearest_genre() -> None:
    """A prompt without known words gets the genre whose description has the nearest vector."""
    names = list(GENRES)

    def embed(text: str) -> NDArray[np.float32]:
        vector = np.full(len(names) + 1, 3, np.float32)  # what all texts have in common
        found = [name for name in names if GENRE_BY_NAME[name].description == text]
        vector[names.index(found[0] if found else "strathspey")] += 1
        return vector

    assert plan_tune(_fields("something with kilts"), embed).genre == "strathspey"


def test_a_metre_may_be_asked_for() -> None:
    """Where the genre has it, in words or figures."""
    for seed in range(8):
        assert plan_tune(_fields("a march in 6/8", seed=seed), None).metre == Metre(6, 8)
        assert plan_tune(_fields("a jig in 3/4", seed=seed), None).metre == Metre(6, 8)
