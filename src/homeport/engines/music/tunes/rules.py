"""Which notes may come next: those from which the bar can be filled exactly, in range, and the last one on the tonic.

Knows nothing of networks and sampling.
"""

import numpy as np
from numpy.typing import NDArray

from homeport.engines.music.tunes.layout import (
    TICKS,
    Heading,
    Place,
    Vocabulary,
    fills,
    tonic_pitch,
)

LOWEST, HIGHEST = 55, 86  # MIDI numbers of a melody: G3, the lowest note of a violin, to D6
_LAST_NOTE = TICKS  # a tune's last note lasts so long at least
Mask = NDArray[np.bool_]


class Rules:
    """The masks of one tune, computed once and looked up by the place."""

    def __init__(self, vocabulary: Vocabulary, heading: Heading, tonic: int) -> None:
        self._vocabulary, self._bar = vocabulary, heading.bar_ticks
        notes = vocabulary.notes
        self._lengths = np.array([note.ticks for note in notes])
        zero = tonic_pitch(tonic)
        self._in_range = np.array([note.pitch is None or LOWEST <= zero + note.pitch <= HIGHEST for note in notes])
        ends = np.array([note.pitch is not None and note.pitch % 12 == 0 for note in notes])
        self._ends = ends & self._in_range & (self._lengths >= _LAST_NOTE)
        every = {note.ticks for note in notes}
        self._anywhere = {tick: self._mask(lengths) for tick, lengths in fills(every, self._bar).items()}
        self._in_last_bar = self._last_bar(every)

    def upbeats(self, *, is_first: bool) -> Mask:
        """Return the tokens that may begin a tune: any upbeat; none but the empty one within a song."""
        allowed = np.zeros(len(self._vocabulary), np.bool_)
        for ticks in self._vocabulary.upbeats:
            allowed[self._vocabulary.upbeat_id(ticks)] = ticks == 0 or (is_first and ticks < self._bar)
        return allowed

    def notes(self, place: Place) -> Mask:
        """Return the tokens that may begin at a place."""
        is_last_bar = place.bars_left == 1 and place.sections_left == 0
        return (self._in_last_bar if is_last_bar else self._anywhere)[place.tick]

    def _mask(self, lengths: tuple[int, ...]) -> Mask:
        allowed = np.zeros(len(self._vocabulary), np.bool_)
        allowed[self._vocabulary.first_note :] = np.isin(self._lengths, lengths) & self._in_range
        return allowed

    def _last_bar(self, every: set[int]) -> dict[int, Mask]:
        """The masks of a tune's last bar, whose last note is the tonic."""
        endings = set(self._lengths[self._ends].tolist())
        ordinary = fills(every, self._bar)
        masks: dict[int, Mask] = {}
        for tick in range(self._bar - 1, -1, -1):
            before = tuple(ticks for ticks in ordinary[tick] if masks.get(tick + ticks, np.zeros(1, np.bool_)).any())
            mask = self._mask(before)
            if self._bar - tick in endings and self._bar - tick in ordinary[tick]:
                mask[self._vocabulary.first_note :] |= self._ends & (self._lengths == self._bar - tick)
            masks[tick] = mask
        return masks
