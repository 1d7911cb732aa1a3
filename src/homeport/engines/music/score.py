"""Written music: what the composer hands to the arranger, the singer and the sampler.

Times are exact and in quarter notes from the start of the song. Knows nothing of models, sound or files.
"""

from fractions import Fraction
from typing import Literal, get_args

import msgspec

Mode = Literal["major", "minor", "dorian", "mixolydian"]
MODES: tuple[Mode, ...] = get_args(Mode)
PITCH_CLASSES = 12


class Note(msgspec.Struct, frozen=True):
    """One note: `start` and `length` in quarter notes, `pitch` as a MIDI number (60 is middle C, 69 is 440 Hz)."""

    start: Fraction
    length: Fraction
    pitch: int


class Metre(msgspec.Struct, frozen=True):
    """A time signature, as 6/8: `count` notes of 1/`unit` fill a bar."""

    count: int
    unit: int

    @property
    def bar_length(self) -> Fraction:
        """The length of a bar in quarter notes."""
        return Fraction(4 * self.count, self.unit)

    @property
    def beat_length(self) -> Fraction:
        """The length of what musicians count as one beat, in quarter notes: three units in 6/8, 9/8 and 12/8."""
        is_compound = self.unit == 8 and self.count % 3 == 0 and self.count > 3
        return Fraction(4 * (3 if is_compound else 1), self.unit)


class Key(msgspec.Struct, frozen=True):
    """A tonic (pitch class, 0 is C) and a mode."""

    tonic: int
    mode: Mode


class TunePlan(msgspec.Struct, frozen=True):
    """What a tune is to be, before any note: all that the prompt and the fields of a request decide.

    `bpm`: musicians' beats a minute, see `Metre.beat_length`. `bars`: whole bars to compose, at least.
    """

    genre: str
    metre: Metre
    key: Key
    bpm: float
    bars: int

    def seconds(self, length: Fraction) -> float:
        """Return how long `length` quarter notes last."""
        return float(length / self.metre.beat_length) * 60 / self.bpm


class Bar(msgspec.Struct, frozen=True):
    """One bar of melody. `length` is less than the metre's bar in an upbeat only.

    `ends_section`: the bar is the last one of a section, where a cadence is due. `is_last`: the tune ends with it.
    """

    start: Fraction
    length: Fraction
    notes: tuple[Note, ...]
    ends_section: bool = False
    is_last: bool = False
