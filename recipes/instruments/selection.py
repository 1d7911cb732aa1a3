"""Which presets of the sound font ship, over which keys, and how loud each is. Knows nothing of files."""

import msgspec

VELOCITY = 100
"""The velocity whose samples and settings are taken."""
DRUM_BANK = 128
DRUM_KEYS = (36, 37, 38, 41, 42, 44, 45, 48, 51, 49, 54, 69, 75, 81)
"""Of the standard kit: kick, rim, snare, three toms, hi-hat, ride, crash, tambourine, cabasa, claves, triangle."""


class Preset(msgspec.Struct, frozen=True):
    """A preset that ships.

    `keys`: the keys at which it sounds like itself, both inclusive. `max_shift`: samples are left out as long as none
    is shifted by more semitones. `level_db`: its loudness against the others. `max_release_s`, `max_seconds`: limits
    of the release and of a sample's length.
    """

    name: str
    bank: int
    program: int
    keys: tuple[int, int]
    max_shift: int = 3
    level_db: float = 0.0
    max_release_s: float = 0.6
    max_seconds: float = 8.0


PRESETS = (
    Preset("fiddle", 0, 110, (55, 96), max_release_s=0.35),
    Preset("flute", 0, 73, (60, 96), max_release_s=0.35),
    Preset("clarinet", 0, 71, (50, 88), max_release_s=0.3),
    Preset("accordion", 0, 21, (50, 93), max_release_s=0.35),
    Preset("bagpipe", 0, 109, (50, 90), max_shift=4, max_release_s=0.3),
    Preset("guitar", 0, 25, (40, 84), max_release_s=1.2, max_seconds=5.5),
    Preset("harp", 0, 46, (34, 96), max_release_s=2.5),
    Preset("piano", 0, 0, (30, 96), max_shift=4, max_release_s=0.7, max_seconds=6.2),
    Preset("strings", 0, 48, (36, 91), max_shift=4, max_release_s=1.0),
    Preset("bass", 0, 32, (28, 60), max_release_s=0.4),
    Preset("drums", DRUM_BANK, 0, (36, 81), max_seconds=2.2),
)
