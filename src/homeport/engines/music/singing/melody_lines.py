"""Fits a melody to the syllables of a phrase: as many notes as syllables, none too short, and a rest to breathe.

Knows nothing of phonemes, voices or audio. Times are in quarter notes.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import msgspec

from homeport.engines.music.score import Bar, Metre, Note, TunePlan

INTRO_BARS = 4
"""Whole bars before the first word, for the instruments: they sound while the first phrase is computed."""
MIN_SYLLABLE_S = 0.45
"""The average length of a syllable; shorter ones are hard to understand."""
_BARS = (1, 2, 4, 8)
_BREATH_S = 0.3
_MAX_PHRASE_S = 24.0


class Window(msgspec.Struct, frozen=True):
    """The bars of a phrase from their start up to the breath at their end."""

    start: Fraction
    end: Fraction
    metre: Metre

    def strength(self, note: Note) -> int:
        """Return 2 on the first beat of a bar, 1 on the others, 0 off the beat."""
        offset = note.start - self.start
        if not offset % self.metre.bar_length:
            return 2
        return 0 if offset % self.metre.beat_length else 1


class MelodyCursor:
    """Takes phrases off a melody from its start to its end."""

    def __init__(self, melody: Iterable[Bar], plan: TunePlan) -> None:
        self._bars = iter(melody)
        self._plan = plan
        self._position = 0
        self._skip(INTRO_BARS)

    def take(self, n_syllables: int) -> tuple[Note, ...]:
        """Return the notes of the next phrase, one a syllable; none if the melody ends before the phrase does."""
        count = bars_of_phrase(n_syllables, self._plan)
        self._skip(-self._position % min(count, 2))
        bars = list(self._next(count))
        if len(bars) < count:
            return ()
        start = bars[0].start
        end = min(bars[-1].start + bars[-1].length, start + _quarters(_MAX_PHRASE_S, self._plan))
        notes = [note for bar in bars for note in bar.notes if note.start < end]
        if not notes:
            return ()
        return fit_notes(notes, n_syllables, Window(start, end - _quarters(_BREATH_S, self._plan), self._plan.metre))

    def _next(self, count: int) -> Iterator[Bar]:
        """Iterate over the next whole bars; an upbeat is not counted and not sung."""
        while count:
            bar = next(self._bars, None)
            if bar is None:
                return
            if bar.length < self._plan.metre.bar_length:
                continue
            self._position += 1
            count -= 1
            yield bar

    def _skip(self, count: int) -> None:
        for _ in self._next(count):
            pass


def bars_of_phrase(n_syllables: int, plan: TunePlan) -> int:
    """Return how many bars a phrase takes: the fewest with room for its syllables and a breath."""
    bar_s = plan.seconds(plan.metre.bar_length)
    needed_s = n_syllables * MIN_SYLLABLE_S + _BREATH_S
    return next((count for count in _BARS if count * bar_s >= needed_s), -(-int(needed_s * 1000) // int(bar_s * 1000)))


def fit_notes(notes: Sequence[Note], count: int, window: Window) -> tuple[Note, ...]:
    """Return `count` notes without gaps up to the window's end, made of `notes`, joined or split.

    Joined first are those that stay shortest, and notes off the beat; of the two pitches the one on the stronger beat
    is kept. Rests of the melody are sung through.
    """
    start = notes[0].start
    end = max(window.end, start + Fraction(count, 8))
    latest = end - (end - start) / count / 2  # a later note would be too short for the last syllable
    held = _without_gaps([note for note in notes if note.start <= latest], end)
    while len(held) > count:
        at = min(range(1, len(held)), key=lambda index: _join_cost(held[index - 1], held[index], window))
        first, second = held[at - 1], held[at]
        held[at - 1 : at + 1] = [Note(first.start, first.length + second.length, _kept(first, second, window).pitch)]
    while len(held) < count:
        at = max(range(len(held)), key=lambda index: (held[index].length, -index))
        whole = held[at]
        half = whole.length / 2
        held[at : at + 1] = [Note(whole.start, half, whole.pitch), Note(whole.start + half, half, whole.pitch)]
    return tuple(held)


def _without_gaps(notes: Sequence[Note], end: Fraction) -> list[Note]:
    starts = [*(note.start for note in notes[1:]), end]
    return [Note(note.start, until - note.start, note.pitch) for note, until in zip(notes, starts, strict=True)]


def _join_cost(first: Note, second: Note, window: Window) -> tuple[Fraction, Fraction]:
    joined = first.length + second.length
    return joined + window.strength(second) * window.metre.beat_length / 2, second.start


def _kept(first: Note, second: Note, window: Window) -> Note:
    is_stronger = window.strength(second) > window.strength(first)
    return second if is_stronger or second.length > 2 * first.length else first


def _quarters(seconds: float, plan: TunePlan) -> Fraction:
    """Return how many quarter notes last this long, to the next 24th."""
    return Fraction(round(seconds / plan.seconds(Fraction(1)) * 24), 24)
