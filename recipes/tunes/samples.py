"""Tunes to be measured and listened to: composed by the served code, held out, and random notes in the same rhythm.

Knows nothing of figures.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from homeport.engines.music.genres import GENRE_BY_NAME, GENRES
from homeport.engines.music.planning import PlanFields, plan_tune
from homeport.engines.music.score import Bar, TunePlan
from homeport.engines.music.tunes import layout
from homeport.engines.music.tunes.composer import Composer
from homeport.engines.music.tunes.layout import SECTION_BARS, TICKS, NoteToken
from recipes.tunes.songs import Song

_BARS = 2 * SECTION_BARS  # both sections of a tune, each once
_LOWEST, _HIGHEST = -5, 16  # of random notes, from the tonic
_SCALES = {
    0: (0, 2, 4, 5, 7, 9, 11),
    1: (0, 2, 3, 5, 7, 8, 10),
    2: (0, 2, 3, 5, 7, 9, 10),
    3: (0, 2, 4, 5, 7, 9, 10),
}  # by index in score.MODES


def plans(count: int) -> list[tuple[TunePlan, int]]:
    """Return plans of one tune and their seeds, in all genres in turn; keys and metres as seeds give them."""
    found = []
    for seed in range(count):
        plan = plan_tune(PlanFields("", 30, seed, genre=GENRES[seed % len(GENRES)]), None)
        found.append((TunePlan(plan.genre, plan.metre, plan.key, plan.bpm, _BARS), seed))
    return found


def composed(composer: Composer, wanted: Iterable[tuple[TunePlan, int]]) -> tuple[list[Song], list[bool]]:
    """Compose; return the songs and, for every bar of all of them but upbeats, whether it is exactly full."""
    songs, exact = [], []
    for plan, seed in wanted:
        bars = list(composer.compose(plan, seed))
        body = bars[1:] if len(bars) % SECTION_BARS else bars
        exact += [bar.length == plan.metre.bar_length and _is_inside(bar) for bar in body]
        songs.append(_song(plan, seed, bars))
    return songs, exact


def _is_inside(bar: Bar) -> bool:
    """Whether a bar's notes follow each other within it."""
    end = bar.start
    for note in bar.notes:
        if note.start < end:
            return False
        end = note.start + note.length
    return end <= bar.start + bar.length


def _song(plan: TunePlan, seed: int, bars: Sequence[Bar]) -> Song:
    heading = layout.heading(GENRE_BY_NAME[plan.genre].style, plan.metre, plan.key)
    zero, upbeat = layout.tonic_pitch(plan.key.tonic), len(bars) % SECTION_BARS
    sections: list[tuple[int, tuple[NoteToken, ...]]] = []
    notes: list[NoteToken] = []
    for bar in bars:
        notes += _tokens(bar, zero)
        if bar.ends_section:
            sections.append((SECTION_BARS, tuple(notes)))
            notes = []
    ticks = int(bars[0].length * TICKS) if upbeat else 0
    return Song(f"{plan.genre} {seed}", "composed", heading, ticks, tuple(sections))


def _tokens(bar: Bar, zero: int) -> list[NoteToken]:
    """The notes of a bar and the rests between them."""
    tokens, end = [], bar.start
    for note in bar.notes:
        if note.start > end:
            tokens.append(NoteToken(None, int((note.start - end) * TICKS)))
        tokens.append(NoteToken(note.pitch - zero, int(note.length * TICKS)))
        end = note.start + note.length
    if bar.start + bar.length > end:
        tokens.append(NoteToken(None, int((bar.start + bar.length - end) * TICKS)))
    return tokens


def random_notes(song: Song, seed: int) -> Song:
    """Return a song in the same rhythm, its notes drawn from the scale."""
    generator = np.random.default_rng(seed)
    scale = _SCALES[song.heading.mode]
    pitches = [pitch for pitch in range(_LOWEST, _HIGHEST + 1) if pitch % 12 in scale]

    def drawn(note: NoteToken) -> NoteToken:
        return note if note.pitch is None else NoteToken(int(generator.choice(pitches)), note.ticks)

    sections = tuple((bars, tuple(drawn(note) for note in notes)) for bars, notes in song.sections)
    return Song(song.title, "random", song.heading, song.upbeat, sections)
