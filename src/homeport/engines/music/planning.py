"""What a tune is to be: a prompt and the fields of a request become genre, metre, key, tempo and length.

Explicit fields win, then words of the prompt in English and Chinese, then the genre whose description is nearest to the
prompt; what is left open is drawn by the seed. Knows nothing of notes, networks and sound.
"""

import difflib
import re
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import InvalidRequest, excerpt
from homeport.engines.music.genres import GENRE_BY_NAME, GENRES, Genre
from homeport.engines.music.score import Key, Metre, Mode, TunePlan
from homeport.engines.music.tunes.layout import SECTION_BARS

Embed = Callable[[str], NDArray[np.float32]]
BPM_MIN, BPM_MAX = 20.0, 400.0
_STREAM = 1  # of the seed's random numbers: not those of the composer
_SLOWER, _FASTER = 0.82, 1.15
_TONICS: Mapping[Mode, tuple[int, ...]] = MappingProxyType(
    {"major": (2, 7, 9, 0, 5), "minor": (4, 9, 2, 7), "dorian": (4, 9, 2), "mixolydian": (9, 2, 7)}
)
_USUAL_MODES: tuple[tuple[Mode, float], ...] = (
    ("major", 0.74),
    ("minor", 0.12),
    ("dorian", 0.08),
    ("mixolydian", 0.06),
)
_NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS = {"": 0, "#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}
_MODE_NAMES: Mapping[str, Mode] = MappingProxyType(
    {
        "": "major",
        "major": "major",
        "maj": "major",
        "大调": "major",
        "m": "minor",
        "minor": "minor",
        "min": "minor",
        "小调": "minor",
        "dorian": "dorian",
        "dor": "dorian",
        "多利亚": "dorian",
        "mixolydian": "mixolydian",
        "mix": "mixolydian",
        "混合利底亚": "mixolydian",
    }
)
_KEY = re.compile(
    r"(?P<note>[A-Ga-g])[ -]?(?P<sign>#|♯|♭|b|sharp|flat)?[ -]?(?P<mode>[a-z]*|[\u4e00-\u9fff]*)", re.IGNORECASE
)
_KEY_IN_PROMPT = re.compile(  # not "a major", which may be any major thing
    r"(?<![A-Za-z])(?P<key>[A-Gb-g](?:#|♯|♭|b| sharp| flat)?[ -]?(?i:major|minor|dorian|mixolydian|大调|小调))"
)
_BPM_IN_PROMPT = re.compile(r"(?<![\d.])(?P<bpm>\d{2,3}) ?bpm\b", re.IGNORECASE)
_METRES = (
    (Metre(3, 4), ("3/4", "three four", "三拍")),
    (Metre(6, 8), ("6/8", "six eight")),
    (Metre(9, 8), ("9/8", "nine eight")),
    (Metre(2, 4), ("2/4", "two four")),
    (Metre(4, 4), ("4/4", "four four", "四拍")),
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_MOODS: tuple[tuple[Mode, tuple[str, ...]], ...] = (
    (
        "minor",
        _words(
            "sad sorrow sorrowful melancholy melancholic gloomy tragic grief lonely mournful minor tragedy crying tears"
            " rainy 忧伤 悲伤 伤感 悲 哀伤 孤独 忧郁 难过 小调 凄凉"
        ),
    ),
    ("dorian", _words("mysterious dark medieval ancient mystic mystical dorian spooky 神秘 黑暗 古老 中世纪")),
    ("mixolydian", _words("rustic mixolydian 粗犷")),
    (
        "major",
        _words(
            "happy joyful cheerful bright merry sunny glad major hopeful uplifting birthday"
            " 快乐 欢快 高兴 开心 明亮 喜悦 大调 阳光 希望"
        ),
    ),
)
_SLOW = _words(
    "slow slowly calm peaceful quiet gentle relaxing relaxed sad sorrowful mournful soft dreamy lonely"
    " 慢 缓慢 平静 安静 温柔 忧伤 悲伤 舒缓 轻柔 宁静"
)
_FAST = _words("fast quick quickly energetic lively exciting upbeat wild racing 快速 快节奏 激烈 活泼 热烈 激动 有活力")


class PlanFields(msgspec.Struct, frozen=True):
    """What a request says. `bpm`: musicians' beats a minute. `key`: as "D minor", "Am" or "F#". `seconds`: about."""

    prompt: str
    seconds: float
    seed: int
    genre: str | None = None
    bpm: float | None = None
    key: str | None = None


def plan_tune(fields: PlanFields, embed: Embed | None) -> TunePlan:
    """Return what the tune is to be. `embed`: text to its vector; None leaves prompts without known words to the seed.

    A tune has whole sections of 8 bars. Where the tempo is open it is chosen within the genre's so that they last
    `seconds`. Raises InvalidRequest (`param` genre, key or bpm).
    """
    prompt = fields.prompt.lower()
    # With the prompt: else all pieces of a seed would have the same key.
    generator = np.random.default_rng((fields.seed, _STREAM, zlib.crc32(prompt.encode())))
    key = _key(fields, prompt, generator)
    genre = _genre(fields, prompt, embed, generator)
    metre = _metre(genre, prompt, generator)
    bpm, bars = _tempo(fields, prompt, genre, metre, generator)
    return TunePlan(genre.name, metre, key, bpm, bars)


def read_key(text: str) -> Key:
    """Read a key. Raises InvalidRequest naming near ones."""
    found = _KEY.fullmatch(text.strip())
    mode = (
        _MODE_NAMES.get(found["mode"] if found and found["mode"] == "m" else found["mode"].lower()) if found else None
    )
    if found is None or mode is None or found["mode"] == "M":
        raise InvalidRequest(
            f"The key {excerpt(text)!r} is unknown. Near ones are {', '.join(_near_keys(text))}; a key is a note from"
            " A to G, perhaps # or b, and major, minor, dorian or mixolydian.",
            param="key",
        )
    return Key((_NOTES[found["note"].upper()] + _SIGNS[(found["sign"] or "").lower()]) % 12, mode)


def _near_keys(text: str) -> list[str]:
    modes = ("major", "minor", "dorian", "mixolydian")
    names = [f"{note}{sign} {mode}" for note in _NOTES for sign in ("", "#", "b") for mode in modes]
    near = difflib.get_close_matches(text.strip().capitalize(), names, 3, 0.3)
    return near or ["D major", "E minor", "A dorian"]


def _contains(prompt: str, words: tuple[str, ...]) -> bool:
    return any(_position(prompt, word) is not None for word in words)


def _position(prompt: str, word: str) -> int | None:
    """Where a word stands in a prompt: between other letters it does not count, but Chinese has no spaces."""
    if not word.isascii():
        found = prompt.find(word)
        return None if found < 0 else found
    match = re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", prompt)
    return match.start() if match else None


def _drawn(generator: np.random.Generator, count: int) -> int:
    return int(generator.integers(count))


def _key(fields: PlanFields, prompt: str, generator: np.random.Generator) -> Key:
    draw, tonic = float(generator.random()), float(generator.random())
    if fields.key is not None:
        return read_key(fields.key)
    if found := _KEY_IN_PROMPT.search(fields.prompt):
        return read_key(found["key"])
    mode: Mode | None = next((mode for mode, words in _MOODS if _contains(prompt, words)), None)
    if mode is None:
        mode = _usual_mode(draw)
    return Key(_TONICS[mode][int(tonic * len(_TONICS[mode]))], mode)


def _usual_mode(draw: float) -> Mode:
    for mode, share in _USUAL_MODES:
        draw -= share
        if draw < 0:
            return mode
    return "major"


def _genre(fields: PlanFields, prompt: str, embed: Embed | None, generator: np.random.Generator) -> Genre:
    drawn = GENRES[_drawn(generator, len(GENRES))]
    if fields.genre is not None:
        return _named(fields.genre)
    found = [
        (-len(word), position, genre)
        for genre in GENRE_BY_NAME.values()
        for word in (genre.name, *genre.words)
        if (position := _position(prompt, word)) is not None
    ]
    if found:
        return min(found, key=lambda one: one[:2])[2]
    if embed is None or not prompt.strip():
        return GENRE_BY_NAME[drawn]
    return GENRE_BY_NAME[_nearest(fields.prompt, embed)]


def _named(text: str) -> Genre:
    name = text.strip().lower()
    for genre in GENRE_BY_NAME.values():
        if name == genre.name or name in genre.words:
            return genre
    known = {word: genre.name for genre in GENRE_BY_NAME.values() for word in (genre.name, *genre.words)}
    near = dict.fromkeys(known[word] for word in difflib.get_close_matches(name, known, 3, 0.5))
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise InvalidRequest(
        f"The genre {excerpt(text)!r} is unknown. {hint}Genres are {', '.join(GENRES)}; a prompt may say anything.",
        param="genre",
    )


@lru_cache(maxsize=2)
def _descriptions(embed: Embed) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The genres' vectors without their mean, and the mean: texts of one model have much in common."""
    vectors = np.stack([np.asarray(embed(genre.description), np.float32) for genre in GENRE_BY_NAME.values()])
    mean = vectors.mean(axis=0)
    apart = vectors - mean
    return apart / np.linalg.norm(apart, axis=1, keepdims=True), mean


def _nearest(prompt: str, embed: Embed) -> str:
    apart, mean = _descriptions(embed)
    return GENRES[int(np.argmax(apart @ (np.asarray(embed(prompt), np.float32) - mean)))]


def _metre(genre: Genre, prompt: str, generator: np.random.Generator) -> Metre:
    metres = tuple(genre.tempos)
    drawn = metres[max(_drawn(generator, len(metres) + 1) - 1, 0)]
    wanted = next((metre for metre, words in _METRES if metre in metres and _contains(prompt, words)), None)
    return wanted or drawn


def _tempo(
    fields: PlanFields, prompt: str, genre: Genre, metre: Metre, generator: np.random.Generator
) -> tuple[float, int]:
    slow, fast = genre.tempos[metre]
    drawn = float(slow + (fast - slow) * generator.random())
    factor = _SLOWER if _contains(prompt, _SLOW) else _FASTER if _contains(prompt, _FAST) else 1.0
    found = _BPM_IN_PROMPT.search(prompt)
    bpm = fields.bpm if fields.bpm is not None else float(found["bpm"]) if found else None
    if fields.bpm is not None and not BPM_MIN <= fields.bpm <= BPM_MAX:
        raise InvalidRequest(f"bpm must be from {BPM_MIN:g} to {BPM_MAX:g}.", param="bpm")
    beats = float(SECTION_BARS * metre.bar_length / metre.beat_length)
    sections = max(round(fields.seconds * (bpm or drawn * factor) / 60 / beats), 1)
    if bpm is None:
        bpm = float(np.clip(60 * beats * sections / fields.seconds, slow * factor, fast * factor))
    return min(max(bpm, BPM_MIN), BPM_MAX), sections * SECTION_BARS
