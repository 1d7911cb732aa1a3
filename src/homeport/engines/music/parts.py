"""Parts of an arrangement: which instrument plays which notes, how loud and where. Knows nothing of harmony."""

from fractions import Fraction

import msgspec


class PlayedNote(msgspec.Struct, frozen=True):
    """A note as it is played: `start` and `length` in quarter notes, a MIDI pitch (for drums a General MIDI drum key).

    `velocity`: how hard, 1 to 127.
    """

    start: Fraction
    length: Fraction
    pitch: int
    velocity: int


class Part(msgspec.Struct, frozen=True):
    """What one instrument plays in one bar.

    `name`: the part's name, unique among the parts of a bar and the same in every bar. `pan`: -1 (left) to 1 (right).
    `volume`: a linear gain. `reverb`: the share that goes to the reverb.
    """

    name: str
    instrument: str
    notes: tuple[PlayedNote, ...]
    is_melody: bool = False
    pan: float = 0.0
    volume: float = 1.0
    reverb: float = 1.0
