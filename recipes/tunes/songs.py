"""Tunes on an exact grid: every bar full, the tonic known, all relative to it. Knows nothing of ABC text and ids."""

import hashlib
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from homeport.engines.music.score import MODES
from homeport.engines.music.tunes.layout import METRES, TICKS, Heading, NoteToken, tonic_pitch
from recipes.tunes.abc import Section, Tune

_HELD_OUT = 20  # one title in this many
_MODE_BY_STEP = {0: "major", 9: "minor", 2: "dorian", 7: "mixolydian"}
_FILLER = re.compile(r"\b(the|a|an|or|o|of|reel|jig|hornpipe|strathspey|march|air|clog|no|part|first|second|setting)\b")
Bars = list[list[NoteToken]]


class IrregularTuneError(Exception):
    """The bars of a tune do not add up."""


@dataclass(frozen=True, slots=True)
class Song:
    """A tune ready to be encoded. `upbeat`: in ticks. `sections`: their bars and notes; all bars are full."""

    title: str
    book: str
    heading: Heading
    upbeat: int
    sections: tuple[tuple[int, tuple[NoteToken, ...]], ...]

    @property
    def is_held_out(self) -> bool:
        """Whether it is kept from training: by its title, so that settings of one tune stay together."""
        return int(hashlib.sha256(plain_title(self.title).encode()).hexdigest(), 16) % _HELD_OUT == 0

    def to_json(self) -> list[Any]:
        """Return lists and numbers from which `from_json` makes the song again."""
        parts = [[bars, [[note.pitch, note.ticks] for note in notes]] for bars, notes in self.sections]
        heading = [self.heading.style, self.heading.metre, self.heading.mode]
        return [self.title, self.book, heading, self.upbeat, parts]

    @classmethod
    def from_json(cls, value: list[Any]) -> "Song":
        """Make a song of what `to_json` returned."""
        title, book, heading, upbeat, parts = value
        sections = tuple((bars, tuple(NoteToken(*note) for note in notes)) for bars, notes in parts)
        return cls(title, book, Heading(*heading), upbeat, sections)


def plain_title(title: str) -> str:
    """Return the words that settings of one tune have in common."""
    words = re.sub(r"[^a-z ]", "", _FILLER.sub("", re.sub(r"[-,]", " ", title.lower().replace("'", ""))))
    return " ".join(sorted(set(words.split()))) or title


def song(tune: Tune, book: str, style: int) -> Song:
    """Put a tune on the grid. Raises IrregularTuneError."""
    name, scale = metre(tune)
    tonic, mode = _key(tune)
    heading = Heading(style, METRES.index(name), MODES.index(mode))
    parts = [_bars(section, scale, tonic_pitch(tonic)) for section in tune.sections]
    upbeat, sections = _regular([part for part in parts if part], heading.bar_ticks)
    return Song(tune.title, book, heading, upbeat, sections)


def metre(tune: Tune) -> tuple[str, int]:
    """Return the name in METRES under which a metre is learned, and by what its lengths are multiplied."""
    if tune.metre == (3, 8):
        return "3/4", 2
    name = "4/4" if tune.metre == (2, 2) else "{}/{}".format(*tune.metre)
    if name not in METRES:
        raise IrregularTuneError(f"The metre {name} is rare.")
    return name, 1


def _key(tune: Tune) -> tuple[int, str]:
    """The tonic and mode: as declared, unless the tune ends on another note of the scale that it also dwells on."""
    sounds = [sound for section in tune.sections for bar in section.bars for sound in bar if sound.pitch is not None]
    if not sounds:
        raise IrregularTuneError("No notes.")
    weights = dict.fromkeys(range(12), Fraction(0))
    for sound in sounds:
        weights[(sound.pitch or 0) % 12] += sound.length
    major, last = tune.sharps * 7 % 12, (sounds[-1].pitch or 0) % 12
    steps = [(pitch - major) % 12 for pitch in (last, tune.tonic)]
    tonic = last if steps[0] in _MODE_BY_STEP and weights[last] >= weights[tune.tonic] else tune.tonic
    return tonic, _MODE_BY_STEP[(tonic - major) % 12]


def _bars(section: Section, scale: int, tonic: int) -> Bars:
    bars = []
    for bar in section.bars:
        notes = []
        for sound in bar:
            ticks = sound.length * TICKS * scale
            if ticks.denominator != 1 or ticks <= 0:
                raise IrregularTuneError("A length off the grid.")
            notes.append(NoteToken(None if sound.pitch is None else sound.pitch - tonic, int(ticks)))
        bars.append(notes)
    return bars


def _length(bar: list[NoteToken]) -> int:
    return sum(note.ticks for note in bar)


def _regular(parts: list[Bars], full: int) -> tuple[int, tuple[tuple[int, tuple[NoteToken, ...]], ...]]:
    parts = [_merged(part, full) for part in parts]
    upbeats = [_length(part[0]) % full if len(part) > 1 else 0 for part in parts]
    sections = []
    for index, part in enumerate(parts):
        following = parts[index + 1][0] if index + 1 < len(parts) and upbeats[index + 1] else []
        bars = part[1:] if upbeats[index] else part
        if len(bars) < 2 or any(_length(bar) != full for bar in bars[:-1]):
            raise IrregularTuneError("A bar is too short or too long.")
        last = _completed(bars[-1], following, full)
        sections.append((len(bars), tuple(note for bar in [*bars[:-1], last] for note in bar)))
    if not sections:
        raise IrregularTuneError("No bars.")
    first = tuple(parts[0][0]) if upbeats[0] else ()
    sections[0] = (sections[0][0], first + sections[0][1])
    return upbeats[0], tuple(sections)


def _merged(part: Bars, full: int) -> Bars:
    """Join two short bars that a sign within a bar has divided."""
    bars: Bars = []
    for number, bar in enumerate(part):
        if number > 1 and _length(bar) < full and _length(bars[-1]) + _length(bar) == full:
            bars[-1] = [*bars[-1], *bar]
        else:
            bars.append(bar)
    return bars


def _completed(bar: list[NoteToken], following: list[NoteToken], full: int) -> list[NoteToken]:
    """The last bar of a section with the upbeat of the next one; its own last note is lengthened or shortened."""
    missing = full - _length(bar) - _length(following)
    last = bar[-1]
    if last.ticks + missing <= 0 or abs(missing) >= full:
        raise IrregularTuneError("The last bar of a section and the next upbeat are not one bar.")
    return [*bar[:-1], NoteToken(last.pitch, last.ticks + missing), *following]
