"""What is measured of tunes: sections, cadences, steps, and the longest run of notes copied from the training set.

Knows nothing of networks and files.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from homeport.engines.music.tunes.layout import NoteToken
from recipes.tunes.songs import Song

_USUAL_SECTIONS = (4, 8, 16)
_TRIAD = (0, 3, 4, 7)
_STEP = 2  # semitones
_LEAP = 12
_FACTOR = np.uint64(6364136223846793005)


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of a set of tunes, in percent."""

    sections: float
    ends_on_tonic: float
    cadences: float
    steps: float
    leaps: float
    repeated_bars: float


def figures(songs: Sequence[Song]) -> Figures:
    """Measure tunes. A cadence: the longest note of a section's last bar is of the tonic's chord."""
    sections = [(song, index) for song in songs for index in range(len(song.sections))]
    lengths = [song.sections[index][0] in _USUAL_SECTIONS for song, index in sections]
    cadences = [_longest(bars(song, index)[-1]) in _TRIAD for song, index in sections]
    ends = [_last(song) == 0 for song in songs]
    moves = [abs(move) for song in songs for move in _moves(song)]
    return Figures(
        sections=_percent(lengths),
        ends_on_tonic=_percent(ends),
        cadences=_percent(cadences),
        steps=_percent([move <= _STEP for move in moves]),
        leaps=_percent([move > _LEAP for move in moves]),
        repeated_bars=_percent([repeat for song in songs for repeat in _repeats(song)]),
    )


def _percent(values: Sequence[bool]) -> float:
    return 100 * sum(values) / max(len(values), 1)


def bars(song: Song, index: int) -> list[tuple[NoteToken, ...]]:
    """Return the bars of a section, an upbeat before it left out."""
    full, tick = song.heading.bar_ticks, (-song.upbeat if index == 0 else 0)
    found: list[list[NoteToken]] = []
    for note in song.sections[index][1]:
        if tick >= 0:
            if tick % full == 0:
                found.append([])
            found[-1].append(note)
        tick += note.ticks
    return [tuple(bar) for bar in found]


def _longest(bar: Iterable[NoteToken]) -> int | None:
    notes = [note for note in bar if note.pitch is not None]
    if not notes:
        return None
    longest = max(note.ticks for note in notes)
    return next(note.pitch for note in notes if note.ticks == longest and note.pitch is not None) % 12


def _last(song: Song) -> int | None:
    pitches = [note.pitch for note in song.sections[-1][1] if note.pitch is not None]
    return pitches[-1] % 12 if pitches else None


def _moves(song: Song) -> list[int]:
    pitches = [note.pitch for _, part in song.sections for note in part if note.pitch is not None]
    return [after - before for before, after in pairwise(pitches)]


def _repeats(song: Song) -> list[bool]:
    """Whether each bar was heard before in its tune."""
    heard: set[tuple[NoteToken, ...]] = set()
    repeats = []
    for index in range(len(song.sections)):
        for bar in bars(song, index):
            repeats.append(bar in heard)
            heard.add(bar)
    return repeats


def copied_runs(songs: Sequence[Song], trained: Sequence[Song]) -> list[int]:
    """Return, for each song, the length of its longest run of notes that stands in a trained song, on any tonic."""
    known: dict[NoteToken | None, int] = {}
    numbers = [_numbers([*songs], known), _numbers([*trained], known)]
    longest = np.zeros(len(songs), np.int64)
    hashes = [np.zeros(len(one), np.uint64) for one in numbers]
    owners = np.repeat(np.arange(len(songs)), [_count(song) + 1 for song in songs])
    length = 0
    while len(hashes[0]):
        ends = [len(one) - length for one in numbers]
        hashes = [
            kept[:end] * _FACTOR + one[length : length + end]
            for kept, one, end in zip(hashes, numbers, ends, strict=True)
        ]
        length += 1
        whole = _within_songs(numbers[0], length)
        found = np.isin(hashes[0], np.unique(hashes[1][_within_songs(numbers[1], length)])) & whole
        if not found.any():
            break
        longest[np.unique(owners[: len(found)][found])] = length
    return [int(value) for value in longest]


def _count(song: Song) -> int:
    return sum(len(notes) for _, notes in song.sections)


def _numbers(songs: Sequence[Song], known: dict[NoteToken | None, int]) -> NDArray[np.uint64]:
    """All notes of all songs as numbers; 0 after each song."""
    values = [
        known.setdefault(note, len(known) + 1) if note else 0
        for song in songs
        for note in [*(note for _, notes in song.sections for note in notes), None]
    ]
    return np.array(values, np.uint64)


def _within_songs(numbers: NDArray[np.uint64], length: int) -> NDArray[np.bool_]:
    """Whether the run of `length` from each place lies within one song."""
    ends = np.concatenate([[0], np.cumsum(numbers == 0)])
    whole: NDArray[np.bool_] = ends[length:] == ends[:-length]
    return whole
