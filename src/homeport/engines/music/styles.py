"""How a genre is accompanied: instruments, and patterns on a grid of eighth notes. Knows nothing of chords and tunes.

A pattern has one character for each eighth note of a bar. In all of them `.` is silence, and `-` lets the sound before
last. Chords: `D` and `d` strike all tones (strong, soft), `u` the upper ones lightly, digits one tone, counted from
below. Bass: `r` root, `5` fifth, `8` octave. Drums: `x`, `o` and `g` from loud to soft.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from homeport.engines.music.score import Metre

KICK, RIM, SNARE, LOW_TOM, HAT, PEDAL_HAT, MID_TOM, HIGH_TOM = 36, 37, 38, 41, 42, 44, 45, 48
CRASH, RIDE, TAMBOURINE, SHAKER, TRIANGLE = 49, 51, 54, 69, 81

Drums = Mapping[int, str]


class Groove(msgspec.Struct, frozen=True):
    """The patterns of one bar. `drums`: a pattern for each drum key; empty where a genre has none."""

    chords: str
    bass: str
    drums: Drums = MappingProxyType({})


class Style(msgspec.Struct, frozen=True):
    """What may accompany a genre; a tune takes one of each by its seed.

    `pads`: instruments that hold chords softly, where there are any. `is_swung`: of two eighths the first is longer.
    `ornaments`: the share of longer notes that begin with a grace note. `is_soft`: played quietly, without drums at
    first.
    """

    melodies: tuple[str, ...]
    chords: tuple[str, ...]
    grooves: Mapping[str, tuple[Groove, ...]]
    pads: tuple[str, ...] = ()
    is_swung: bool = False
    ornaments: float = 0.0
    is_soft: bool = False


_FOLK = ("fiddle", "flute", "accordion")
_REEL = {
    "4/4": (
        Groove("..Du..Du", "r-..5-..", {KICK: "o...o...", SHAKER: "g.o.g.o.", TAMBOURINE: "..g...g."}),
        Groove("D-uuD-uu", "r---5---", {LOW_TOM: "x..oo..o", MID_TOM: "..g...g.", RIM: "....o..."}),
        Groove("D.uDu.Du", "r--r5--5", {KICK: "o..o..o.", HAT: "g.g.g.g.", RIM: "..o...o."}),
    ),
    "2/4": (
        Groove(".D.D", "r.5.", {KICK: "o.o.", SHAKER: ".o.o"}),
        Groove("DuDu", "r-5-", {LOW_TOM: "x.og", TAMBOURINE: ".g.g"}),
    ),
}
_JIG = {
    "6/8": (
        Groove("D.uD.u", "r--5--", {LOW_TOM: "x.go.g", MID_TOM: "..g..g"}),
        Groove("..D..D", "r-.5-.", {KICK: "o..o..", TAMBOURINE: "..o..o"}),
        Groove("D-ud-u", "r----5", {KICK: "o.....", RIM: "...o..", SHAKER: "ogoogo"}),
    )
}
_SLIP_JIG = {
    "9/8": (
        Groove("D.uD.uD.u", "r--5--r--", {LOW_TOM: "x.go.go.g"}),
        Groove("D--d-ud-u", "r-----5--", {KICK: "o........", SHAKER: "ogoogoogo"}),
    )
}
_MARCH = {
    "4/4": (
        Groove("..D...D.", "r-..5-..", {KICK: "x...x...", SNARE: "o.ggo.gg"}),
        Groove("D.d.D.d.", "r-r-5-5-", {KICK: "x...x...", SNARE: "..ox..oo"}),
    ),
    "2/4": (
        Groove(".D.D", "r.5.", {KICK: "x.x.", SNARE: "ogog"}),
        Groove("DdDd", "r-5-", {KICK: "x.o.", SNARE: "gogo"}),
    ),
    "6/8": (Groove("D.dD.d", "r--5--", {KICK: "x..x..", SNARE: "ogoogo"}),),
}
_WALTZ = {
    "3/4": (
        Groove("..d.d.", "r-....", {KICK: "o.....", SHAKER: "..o.o."}),
        Groove("..D.du", "r---5-", {KICK: "o.....", HAT: "..g.g."}),
        Groove("0.2.1.", "r-----", {TRIANGLE: "g.....", SHAKER: "..g.g."}),
    )
}
_POLKA = {
    "2/4": (
        Groove(".D.D", "r.5.", {KICK: "x.x.", SNARE: ".o.o", HAT: "gggg"}),
        Groove(".DuD", "r.5.", {KICK: "x.x.", RIM: ".o.o"}),
    ),
    "4/4": (
        Groove(".D.D.D.D", "r.5.r.5.", {KICK: "x.x.x.x.", SNARE: ".o.o.o.o"}),
        Groove("..D...D.", "r-..5-..", {KICK: "x...x...", SNARE: "..o...o."}),
    ),
}
_GENTLE = {
    "3/4": (Groove("012321", "r-----"), Groove("0.1.2.", "r-----"), Groove("D---d-", "r-----")),
    "4/4": (Groove("01232123", "r-------"), Groove("0.1.2.1.", "r---5---"), Groove("D---d---", "r---5---")),
    "2/4": (Groove("0121", "r---"), Groove("0.12", "r-5-")),
    "6/8": (Groove("012321", "r-----"), Groove("D--d--", "r--5--")),
    "9/8": (Groove("012321321", "r-----5--"),),
}
_SONG = {
    "4/4": (
        Groove("D.u.D.uu", "r--r5---", {KICK: "o...o...", RIM: "..o...o.", SHAKER: "gggggggg"}),
        Groove("01232123", "r---5---", {KICK: "o.......", RIM: "....o..."}),
    ),
    **{metre: grooves for metre, grooves in _GENTLE.items() if metre != "4/4"},
}
_ALL = {**_GENTLE, **_WALTZ, **_JIG, **_SLIP_JIG, **_REEL}

_AIR = Style(("flute", "fiddle", "clarinet"), ("harp", "guitar", "piano"), _GENTLE, ("strings",), is_soft=True)
_DANCE = Style(("fiddle", "accordion", "clarinet"), ("guitar", "piano"), {**_ALL, **_POLKA})
_HORNPIPE = {"4/4": _POLKA["4/4"][1:] + _REEL["4/4"][:1], "2/4": _POLKA["2/4"][:1]}
_STYLES: Mapping[str, Style] = MappingProxyType(
    {
        "reel": Style(_FOLK, ("guitar", "piano"), _REEL, ornaments=0.12),
        "jig": Style(_FOLK, ("guitar", "piano"), _JIG, ornaments=0.12),
        "slip jig": Style(_FOLK, ("guitar", "harp"), _SLIP_JIG, ornaments=0.12),
        "hornpipe": Style(("accordion", "fiddle", "clarinet"), ("guitar", "piano"), _HORNPIPE, is_swung=True),
        "strathspey": Style(("fiddle", "bagpipe", "accordion"), ("piano", "guitar"), {**_REEL, **_MARCH}),
        "march": Style(("flute", "bagpipe", "clarinet"), ("accordion", "piano"), _MARCH),
        "polka": Style(("accordion", "clarinet", "fiddle"), ("guitar", "accordion"), _POLKA),
        "waltz": Style(("accordion", "fiddle", "clarinet"), ("guitar", "piano"), _WALTZ, ("strings",)),
        "air": _AIR,
        "lullaby": Style(("flute", "clarinet", "harp"), ("harp", "piano"), _GENTLE, ("strings",), is_soft=True),
        "ballad": Style(("fiddle", "flute", "clarinet"), ("guitar", "piano"), _SONG, ("strings",), is_soft=True),
        "song": Style(("clarinet", "flute", "fiddle"), ("guitar", "piano"), {**_ALL, **_SONG}, ("strings",)),
        "dance": _DANCE,
    }
)


def style(genre: str) -> Style:
    """Return how a genre is accompanied; one without a style of its own is accompanied as a dance."""
    return _STYLES.get(genre, _DANCE)


def grooves(chosen: Style, metre: Metre) -> tuple[Groove, ...]:
    """Return the patterns of a style in a metre: those of other genres, or plain ones, where it has none of its own."""
    name = f"{metre.count}/{metre.unit}"
    return chosen.grooves.get(name) or (_GENTLE if chosen.is_soft else _ALL).get(name) or (_plain(metre),)


def _plain(metre: Metre) -> Groove:
    """Return a pattern that strikes the beats."""
    n_beats = max(1, int(metre.bar_length / metre.beat_length))
    eighths = max(1, int(metre.beat_length * 2))
    rest = "-" * (eighths - 1)
    return Groove("".join(f"{'D' if beat == 0 else 'd'}{rest}" for beat in range(n_beats)), f"r{rest}" * n_beats)
