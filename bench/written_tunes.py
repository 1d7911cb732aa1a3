"""Traditional tunes, written by hand: melodies to arrange and play where none is to be composed. Knows no sound.

Each is a text in letters of ABC notation: `C` to `B` from middle C, `c` to `b` above it, `z` a rest, a number for the
length in eighths, `|` after each bar. A section has eight bars.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

from homeport.engines.music.score import PITCH_CLASSES, Bar, Key, Metre, Note, TunePlan

_EIGHTH = Fraction(1, 2)
_SECTION_BARS = 8
_MIDDLE_C = 60
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_REEL = (
    "f2edB2A2|BABde2de|f2edB2AB|dBAFE4|f2edB2A2|BABdefde|f2edBAFA|BEEDD4|",
    "d2fda2fd|bafag2fe|d2fda2gf|efdef2e2|d2fda2fd|bafab2a2|gfedBAFA|BEEDD4|",
)
_JIG = (
    "D2DF2A|d2AF2A|G2BA2F|E3EFE|D2DF2A|d2Af2e|d2BA2F|D3D3|",
    "d2ef2d|g2ef2d|e2cA2c|e3efg|a2fd2f|g2ec2e|d2BA2F|D3D3|",
)
_WALTZ = (
    "G2B2d2|g4f2|e2c2e2|d6|G2B2d2|e2d2B2|A2G2A2|B6|",
    "G2B2d2|g4f2|e2c2e2|d6|B2d2B2|A2D2F2|G2B2A2|G6|",
)
_MARCH = (
    "A2AGE2DE|G2GAc2c2|A2AGEDCD|E2D2D4|A2AGE2DE|G2GAc2d2|e2dcAGEG|A2D2D4|",
    "d2def2ed|c2cAG2GA|c2cde2dc|A2AGA4|d2def2ed|c2cAG2E2|A2AGEDCE|D4D4|",
)
_AIR = (
    "A2c2e2|d2c2B2|c2A4|E6|A2c2e2|a4g2|e2d2B2|c4z2|",
    "c2e2a2|g2e2c2|d2e2f2|e4z2|f2d2B2|e2c2A2|B2A2G2|A6|",
)
_SLIP_JIG = (
    "B2GG2AB2d|c2AA2Bc3|B2GG2AB2g|f2dd2ef3|B2GG2AB2d|c2AA2Bc2e|d2BA2GF2A|G3G3G3|",
    "g2gg2de2d|c2AA2Bc3|g2gg2fe2d|f2dd2ef3|g2gg2de2d|c2AA2Bc2e|d2BA2GF2A|G3G3G3|",
)


class WrittenTune:
    """A plan with the bars that follow it: each section of `sections` twice."""

    def __init__(self, plan: TunePlan, sections: tuple[str, str], sharps: str) -> None:
        self.plan = plan
        first, second = sections
        self.bars = tuple(_bars(first * 2 + second * 2, sharps))


def _plan(genre: str, metre: Metre, key: Key, bpm: float) -> TunePlan:
    return TunePlan(genre, metre, key, bpm, 4 * _SECTION_BARS)


def _bars(text: str, sharps: str) -> list[Bar]:
    at = Fraction(0)
    bars = []
    texts = text.split("|")[:-1]
    for index, written in enumerate(texts, 1):
        start, notes = at, []
        for letter, number in re.findall(r"([A-Ga-gz])(\d*)", written):
            length = int(number or 1) * _EIGHTH
            if letter != "z":
                octave = PITCH_CLASSES if letter.islower() else 0
                pitch = _MIDDLE_C + _LETTERS[letter.upper()] + octave + (letter.upper() in sharps)
                notes.append(Note(at, length, pitch))
            at += length
        is_last = index == len(texts)
        bars.append(Bar(start, at - start, tuple(notes), index % _SECTION_BARS == 0, is_last))
    return bars


TUNES: Mapping[str, WrittenTune] = MappingProxyType(
    {
        "reel": WrittenTune(_plan("reel", Metre(4, 4), Key(2, "major"), 200), _REEL, "FC"),
        "jig": WrittenTune(_plan("jig", Metre(6, 8), Key(2, "major"), 110), _JIG, "FC"),
        "waltz": WrittenTune(_plan("waltz", Metre(3, 4), Key(7, "major"), 140), _WALTZ, "F"),
        "march": WrittenTune(_plan("march", Metre(4, 4), Key(2, "dorian"), 110), _MARCH, ""),
        "hornpipe": WrittenTune(_plan("hornpipe", Metre(4, 4), Key(2, "major"), 160), _REEL, "FC"),
        "air": WrittenTune(_plan("air", Metre(3, 4), Key(9, "minor"), 84), _AIR, ""),
        "slip jig": WrittenTune(_plan("slip jig", Metre(9, 8), Key(7, "major"), 110), _SLIP_JIG, "F"),
    }
)
"""By genre; the hornpipe has the reel's notes."""
