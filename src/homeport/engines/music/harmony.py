"""Chords for a melody, by rule: functional harmony in major and minor, its modal forms in dorian and mixolydian.

Each bar's chords are chosen when the bar comes, by dynamic programming over the bar's slots: how well the notes fit,
how well one chord follows another, and what a section's end asks for. Knows nothing of instruments.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType

import msgspec

from homeport.engines.music.score import PITCH_CLASSES, Bar, Metre, Mode, TunePlan

_MAJOR, _MINOR = (0, 4, 7), (0, 3, 7)
_SECTION_BARS = 8


class Chord(msgspec.Struct, frozen=True):
    """A chord: its degree as a Roman numeral, the pitch class of its root, and its tones in semitones above that."""

    degree: str
    root: int
    intervals: tuple[int, ...]

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """The chord's pitch classes, the root first."""
        return tuple((self.root + interval) % PITCH_CLASSES for interval in self.intervals)


class ChordSpan(msgspec.Struct, frozen=True):
    """A chord and when it sounds, in quarter notes from the start of the song."""

    start: Fraction
    length: Fraction
    chord: Chord


# Per mode: degree, semitones above the tonic, tones, and how common it is.
_DEGREES: Mapping[Mode, tuple[tuple[str, int, tuple[int, ...], float], ...]] = MappingProxyType(
    {
        "major": (
            ("I", 0, _MAJOR, 0.5),
            ("IV", 5, _MAJOR, 0.35),
            ("V", 7, _MAJOR, 0.4),
            ("ii", 2, _MINOR, 0.15),
            ("vi", 9, _MINOR, 0.15),
        ),
        "minor": (
            ("i", 0, _MINOR, 0.5),
            ("VII", 10, _MAJOR, 0.25),
            ("VI", 8, _MAJOR, 0.25),
            ("III", 3, _MAJOR, 0.2),
            ("iv", 5, _MINOR, 0.25),
            ("V", 7, _MAJOR, 0.2),
            ("v", 7, _MINOR, 0.1),
        ),
        "dorian": (
            ("i", 0, _MINOR, 0.5),
            ("VII", 10, _MAJOR, 0.4),
            ("IV", 5, _MAJOR, 0.25),
            ("III", 3, _MAJOR, 0.15),
            ("v", 7, _MINOR, 0.15),
        ),
        "mixolydian": (
            ("I", 0, _MAJOR, 0.5),
            ("VII", 10, _MAJOR, 0.4),
            ("IV", 5, _MAJOR, 0.3),
            ("v", 7, _MINOR, 0.15),
            ("ii", 2, _MINOR, 0.1),
        ),
    }
)
_DOMINANTS = {"major": ("V",), "minor": ("V", "v", "VII"), "dorian": ("VII", "v"), "mixolydian": ("VII", "v")}
_PREPARING = {"ii", "IV", "iv", "VI", "vi"}
_FOLLOWS: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("V", "I"): 0.4,
        ("V", "i"): 0.4,
        ("v", "i"): 0.25,
        ("VII", "i"): 0.35,
        ("VII", "I"): 0.35,
        ("ii", "V"): 0.4,
        ("IV", "V"): 0.3,
        ("iv", "V"): 0.35,
        ("IV", "I"): 0.25,
        ("iv", "i"): 0.2,
        ("VI", "VII"): 0.3,
        ("vi", "ii"): 0.25,
        ("vi", "IV"): 0.25,
        ("III", "VI"): 0.15,
        ("VII", "III"): 0.15,
        ("VII", "IV"): 0.2,
        ("V", "IV"): -0.5,
        ("V", "ii"): -0.5,
        ("V", "iv"): -0.5,
        ("ii", "I"): -0.3,
        ("ii", "IV"): -0.2,
    }
)
_FIT = 2.2
_TONES = (1.0, 0.85, 0.7)
_STRANGE = -1.0
_CHANGE_INSIDE_BAR, _SAME_AGAIN = -0.45, -0.2
_CADENCE_TONIC, _CADENCE_HALF, _CADENCE_DOMINANT, _PREPARATION = 1.4, 0.4, 0.5, 0.15


class Harmony:
    """Chooses the chords of one tune, a bar at a time."""

    def __init__(self, plan: TunePlan) -> None:
        self._mode = plan.key.mode
        self._chords = tuple(
            Chord(degree, (plan.key.tonic + semitones) % PITCH_CLASSES, intervals)
            for degree, semitones, intervals, _ in _DEGREES[self._mode]
        )
        self._common = {degree: weight for degree, _, _, weight in _DEGREES[self._mode]}
        self._metre = plan.metre
        self._last: Chord | None = None
        self._repeated = 0
        self._bar_of_section = 0

    @property
    def tonic(self) -> Chord:
        """The chord of the tonic."""
        return self._chords[0]

    def chords(self, bar: Bar) -> tuple[ChordSpan, ...]:
        """Return the chords of the next bar, without gaps from its start to its end."""
        slots = _slots(bar, self._metre)
        chosen = self._best(bar, slots)
        self._repeated = self._repeated + 1 if {*chosen} == {self._last} else 0
        self._last = chosen[-1]
        self._bar_of_section = 0 if bar.ends_section else self._bar_of_section + 1
        spans: list[ChordSpan] = []
        for (start, length), chord in zip(slots, chosen, strict=True):
            if spans and spans[-1].chord == chord:
                spans[-1] = ChordSpan(spans[-1].start, spans[-1].length + length, chord)
            else:
                spans.append(ChordSpan(start, length, chord))
        return tuple(spans)

    def _best(self, bar: Bar, slots: Sequence[tuple[Fraction, Fraction]]) -> list[Chord]:
        """Return the chords, one for each slot, of the greatest sum of scores."""
        scores = {chord: self._follows(self._last, chord, at_bar=True) for chord in self._chords}
        paths = {chord: [chord] for chord in self._chords}
        for index, slot in enumerate(slots):
            if index:
                previous, before = scores, paths
                scores, paths = {}, {}
                for chord in self._chords:
                    reached = [previous[other] + self._follows(other, chord, at_bar=False) for other in self._chords]
                    scores[chord] = max(reached)
                    paths[chord] = [*before[self._chords[reached.index(scores[chord])]], chord]
            for chord in self._chords:
                scores[chord] += self._fits(bar, slot, chord) + self._due(bar, len(slots) - index, chord)
        return paths[max(self._chords, key=lambda chord: scores[chord])]

    def _follows(self, previous: Chord | None, chord: Chord, *, at_bar: bool) -> float:
        if previous is None:
            return 1.0 if chord == self.tonic else 0.0
        if previous == chord:
            return _SAME_AGAIN * self._repeated if at_bar else 0.0
        score = _FOLLOWS.get((previous.degree, chord.degree), 0.0)
        return score if at_bar else score + _CHANGE_INSIDE_BAR

    def _fits(self, bar: Bar, slot: tuple[Fraction, Fraction], chord: Chord) -> float:
        start, length = slot
        total = self._common[chord.degree]
        for note in bar.notes:
            overlap = min(note.start + note.length, start + length) - max(note.start, start)
            if overlap <= 0:
                continue
            on_beat = (note.start - bar.start) % self._metre.beat_length == 0
            share = float(overlap / length) * (1.0 if on_beat else 0.6)
            tone = note.pitch % PITCH_CLASSES
            fit = _TONES[chord.pitch_classes.index(tone)] if tone in chord.pitch_classes else _STRANGE
            total += _FIT * share * fit
        return total

    def _due(self, bar: Bar, slots_left: int, chord: Chord) -> float:
        """Return what the place in the section adds to a chord. `slots_left` counts this one."""
        is_dominant = chord.degree in _DOMINANTS[self._mode]
        if bar.is_last and slots_left == 1:
            return 100.0 if chord == self.tonic else 0.0
        if bar.ends_section:
            if slots_left == 1:
                return _CADENCE_TONIC if chord == self.tonic else _CADENCE_HALF * is_dominant
            return _CADENCE_DOMINANT * is_dominant
        place = self._bar_of_section % _SECTION_BARS
        if place == _SECTION_BARS - 2 and slots_left == 1:
            return _CADENCE_DOMINANT * is_dominant + _PREPARATION * (chord.degree in _PREPARING)
        return _CADENCE_HALF * is_dominant if place == _SECTION_BARS // 2 - 1 and slots_left == 1 else 0.0


def _slots(bar: Bar, metre: Metre) -> list[tuple[Fraction, Fraction]]:
    """Return when chords may change: at the half of a bar of two or four beats, at each beat of other compound bars."""
    beats = bar.length / metre.beat_length
    if bar.length != metre.bar_length or beats.denominator != 1 or metre.count == 3:
        return [(bar.start, bar.length)]
    n_slots = 2 if beats % 2 == 0 else int(beats)
    length = bar.length / n_slots
    return [(bar.start + index * length, length) for index in range(n_slots)]
