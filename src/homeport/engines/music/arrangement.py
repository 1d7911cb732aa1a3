"""Arranges a melody for a few instruments, a bar in, the parts of that bar out. Knows nothing of composing or sound.

All choices depend on the plan and the seed alone. The melody keeps its notes; its accents, ornaments and, in hornpipes,
the length of its eighths are those of a player.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import TypeVar

import msgspec
import numpy as np

from homeport.engines.music import accompaniment, styles
from homeport.engines.music.accompaniment import ChordPlayer
from homeport.engines.music.harmony import ChordSpan, Harmony
from homeport.engines.music.parts import Part, PlayedNote
from homeport.engines.music.score import PITCH_CLASSES, Bar, Mode, Note, TunePlan

__all__ = ["Arranger", "Part", "PlayedNote"]

_Choice = TypeVar("_Choice")
_SCALES: Mapping[Mode, tuple[int, ...]] = MappingProxyType(
    {
        "major": (0, 2, 4, 5, 7, 9, 11),
        "minor": (0, 2, 3, 5, 7, 8, 10),
        "dorian": (0, 2, 3, 5, 7, 9, 10),
        "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    }
)
_STRUMMED = {"guitar", "harp"}
_FILL = (styles.SNARE, styles.HIGH_TOM, styles.MID_TOM, styles.LOW_TOM)
_GRACE, _ORNAMENTED_FROM = Fraction(1, 10), Fraction(3, 4)
_MELODY_VELOCITY, _SOFTER = 94, 12
_SWUNG, _STRAIGHT = Fraction(2, 3), Fraction(1, 2)
# The sections, counted from 0, from which on more play. Soft tunes begin with the pad and have drums later.
_DRUMS_FROM, _SOFT_DRUMS_FROM, _PAD_FROM, _SECOND_FROM = 0, 2, 1, 2
_LAST_STROKES = ((styles.KICK, 92), (styles.CRASH, 64))
_VOLUMES = {"second": 0.48, "chords": 0.44, "bass": 0.76, "drums": 0.9, "pad": 0.42}
_PANS = {"second": 0.3, "chords": -0.35, "bass": 0.0, "drums": 0.12, "pad": 0.45}
_REVERBS = {"second": 1.2, "chords": 0.9, "bass": 0.25, "drums": 0.7, "pad": 1.3}


class _Ensemble(msgspec.Struct, frozen=True):
    """What a tune's seed chose. `grooves`: those of the odd and of the even sections."""

    melody: str
    second: str
    chords: str
    pad: str | None
    grooves: tuple[styles.Groove, styles.Groove]


class Arranger:
    """Arranges one tune."""

    def __init__(self, plan: TunePlan, seed: int) -> None:
        self._plan = plan
        self._random = np.random.default_rng(seed)
        self._style = styles.style(plan.genre)
        self._ensemble = self._choose()
        self._harmony = Harmony(plan)
        self._player, self._pad_player = ChordPlayer(), ChordPlayer()
        self._section = 0
        self._bar_of_section = 0

    def arrange(self, bar: Bar) -> tuple[Part, ...]:
        """Return the parts of the next bar, of which every note starts in the bar. The melody is the first.

        An upbeat has no accompaniment.
        """
        played = self._played(bar)
        parts = [Part("melody", self._ensemble.melody, played, is_melody=True)]
        if bar.length == self._plan.metre.bar_length:
            spans = self._harmony.chords(bar)
            if self._section >= _SECOND_FROM and self._ensemble.second != self._ensemble.melody:
                parts.append(_part("second", self._ensemble.second, _octave_apart(played)))
            parts += self._final(bar, spans[-1]) if bar.is_last else self._accompaniment(bar, spans)
            self._bar_of_section += 1
        if bar.ends_section:
            self._section, self._bar_of_section = self._section + 1, 0
        if self._style.is_swung and not _is_dotted(bar):
            parts = [_swung(part) for part in parts]
        return tuple(part for part in parts if part.notes or part.is_melody)

    def _choose(self) -> _Ensemble:
        style = self._style
        grooves = styles.grooves(style, self._plan.metre)
        melody = self._one(style.melodies)
        second = self._one([name for name in style.melodies if name != melody] or style.melodies)
        chords = self._one([name for name in style.chords if name != melody] or style.chords)
        pad = self._one(style.pads) if style.pads else None
        groove = self._one(grooves)
        other = self._one([one for one in grooves if one != groove] or grooves)
        return _Ensemble(melody, second, chords, pad, (groove, other))

    def _one(self, choices: Sequence[_Choice]) -> _Choice:
        return choices[int(self._random.integers(len(choices)))]

    def _played(self, bar: Bar) -> tuple[PlayedNote, ...]:
        """Return the melody with accents, a little unevenness, separated notes and some grace notes."""
        played: list[PlayedNote] = []
        for note in bar.notes:
            played += self._ornamented(note, self._velocity(bar, note))
        return tuple(played)

    def _velocity(self, bar: Bar, note: Note) -> int:
        place = note.start - bar.start
        accent = 9 if place == 0 else 4 if place % self._plan.metre.beat_length == 0 else 0
        # A phrase of four bars swells to its third bar.
        swell = (0, 2, 5, 1)[self._bar_of_section % 4]
        softer = _SOFTER if self._style.is_soft else 0
        return _MELODY_VELOCITY - softer + accent + swell + int(self._random.integers(-4, 5))

    def _ornamented(self, note: Note, velocity: int) -> list[PlayedNote]:
        sounding = note.length * Fraction(19, 20)
        is_ornamented = self._random.random() < self._style.ornaments and note.length >= _ORNAMENTED_FROM
        if not is_ornamented:
            return [PlayedNote(note.start, sounding, note.pitch, velocity)]
        grace = PlayedNote(note.start, _GRACE, self._scale_step_above(note.pitch), velocity - 14)
        return [grace, PlayedNote(note.start + _GRACE, sounding - _GRACE, note.pitch, velocity)]

    def _scale_step_above(self, pitch: int) -> int:
        key = self._plan.key
        scale = {(key.tonic + step) % PITCH_CLASSES for step in _SCALES[key.mode]}
        return next(pitch + step for step in range(1, PITCH_CLASSES) if (pitch + step) % PITCH_CLASSES in scale)

    def _accompaniment(self, bar: Bar, spans: tuple[ChordSpan, ...]) -> list[Part]:
        chosen = self._ensemble
        groove = chosen.grooves[self._section % 2]
        is_strummed = chosen.chords in _STRUMMED
        parts = [
            _part("chords", chosen.chords, self._player.play(spans, groove.chords, is_strummed=is_strummed)),
            _part("bass", "bass", accompaniment.bass(spans, groove.bass)),
        ]
        if groove.drums and self._section >= (_SOFT_DRUMS_FROM if self._style.is_soft else _DRUMS_FROM):
            parts.append(_part("drums", "drums", self._drums(bar, groove)))
        if chosen.pad and (self._style.is_soft or self._section >= _PAD_FROM):
            parts.append(_part("pad", chosen.pad, self._pad_player.hold(spans)))
        return parts

    def _drums(self, bar: Bar, groove: styles.Groove) -> list[PlayedNote]:
        """Return the groove's strokes, at a section's end with a fill, at the next one's beginning with a cymbal."""
        strokes = accompaniment.drums(bar.start, groove.drums)
        if bar.ends_section:
            start = bar.start + bar.length - self._plan.metre.beat_length
            strokes = [stroke for stroke in strokes if stroke.start < start]
            strokes += accompaniment.fill(start, self._plan.metre.beat_length, _FILL)
        elif self._bar_of_section == 0 and self._section:
            strokes.append(PlayedNote(bar.start, Fraction(1), styles.CRASH, 58))
        return strokes

    def _final(self, bar: Bar, span: ChordSpan) -> list[Part]:
        """Return the last chord, held through the bar by all who accompany."""
        whole = (ChordSpan(bar.start, bar.length, span.chord),)
        n_eighths = int(bar.length / accompaniment.EIGHTH)
        held = "-" * (n_eighths - 1)
        chosen = self._ensemble
        parts = [
            _part(
                "chords", chosen.chords, self._player.play(whole, f"D{held}", is_strummed=chosen.chords in _STRUMMED)
            ),
            _part("bass", "bass", accompaniment.bass(whole, f"r{held}")),
        ]
        if chosen.pad:
            parts.append(_part("pad", chosen.pad, self._pad_player.hold(whole)))
        if chosen.grooves[0].drums and not self._style.is_soft:
            strokes = [PlayedNote(bar.start, Fraction(1), key, velocity) for key, velocity in _LAST_STROKES]
            parts.append(_part("drums", "drums", strokes))
        return parts


def _part(name: str, instrument: str, notes: Sequence[PlayedNote]) -> Part:
    return Part(name, instrument, tuple(notes), pan=_PANS[name], volume=_VOLUMES[name], reverb=_REVERBS[name])


def _octave_apart(notes: Sequence[PlayedNote]) -> list[PlayedNote]:
    """Return a melody an octave lower where it is high, and as it is where it is low."""
    lower = [note.pitch for note in notes]
    shift = PITCH_CLASSES if lower and min(lower) >= 67 else 0
    return [msgspec.structs.replace(note, pitch=note.pitch - shift) for note in notes]


def _is_dotted(bar: Bar) -> bool:
    """Whether the melody has notes off the grid of eighths, which are not made uneven again."""
    return any(note.start % accompaniment.EIGHTH for note in bar.notes)


def _swung(part: Part) -> Part:
    notes = []
    for note in part.notes:
        start = _swung_time(note.start)
        notes.append(msgspec.structs.replace(note, start=start, length=_swung_time(note.start + note.length) - start))
    return msgspec.structs.replace(part, notes=tuple(notes))


def _swung_time(at: Fraction) -> Fraction:
    """Return the time at which the second eighth of a quarter note begins after two thirds of it."""
    whole, rest = divmod(at, 1)
    if rest <= _STRAIGHT:
        return whole + rest * _SWUNG / _STRAIGHT
    return whole + _SWUNG + (rest - _STRAIGHT) * (1 - _SWUNG) / (1 - _STRAIGHT)
