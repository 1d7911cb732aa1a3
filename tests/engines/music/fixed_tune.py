"""A composer of one fixed tune and a singer of tones, for what must be exact."""

from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import InvalidRequest
from homeport.domain.music import MusicRequest
from homeport.engines.music.sampler.instruments import RATE
from homeport.engines.music.score import Bar, Key, Metre, Note, TunePlan
from homeport.engines.music.singing.melody_lines import INTRO_BARS

PITCHES = (62, 66, 69, 66)


def plan_of(request: MusicRequest, _seed: int = 0) -> TunePlan:
    """A reel in D of as many bars as the seconds ask for. Refuses the key of H."""
    if request.key == "H":
        raise InvalidRequest("There is no key of H.", param="key")
    metre, bpm = Metre(4, 4), request.bpm or 120.0
    bars = max(1, round((request.seconds or min(30.0, request.max_seconds)) * bpm / 60 / 4))
    return TunePlan(request.genre or "reel", metre, Key(2, "major"), bpm, bars)


class FixedComposer:
    """Composes the same four notes a bar, moved by the seed. `composed`: how many bars have been asked for."""

    def __init__(self) -> None:
        self.composed = 0
        self.is_closed = False

    def compose(self, plan: TunePlan, seed: int) -> Iterator[Bar]:
        """Iterate over the bars of a plan."""
        try:
            for number in range(plan.bars):
                self.composed += 1
                start = Fraction(number * 4)
                notes = tuple(Note(start + beat, Fraction(1), pitch + seed % 3) for beat, pitch in enumerate(PITCHES))
                yield Bar(start, Fraction(4), notes, number % 8 == 7, number == plan.bars - 1)
        finally:
            self.is_closed = True


class Phrase(NamedTuple):
    """A phrase of a song."""

    start: Fraction
    samples: NDArray[np.float32]


class ToneSinger:
    """Sings each line of the lyrics as a tone of one second, on the first beat of every second bar after the intro."""

    def __init__(self) -> None:
        self.n_sung = 0
        self.is_closed = False

    def bars(self, lyrics: str, plan: TunePlan, voice: str) -> int:
        """Return two bars for each line and those of the intro. Knows one voice."""
        if voice != "alloy" or not plan.bars:
            raise InvalidRequest("No such voice.", param="voice")
        return INTRO_BARS + 2 * len(lyrics.splitlines())

    def sing(self, lyrics: str, melody: Iterable[Bar], plan: TunePlan, voice: str) -> Generator[Phrase, None, None]:
        """Read the intro, and two bars for each line."""
        assert self.bars(lyrics, plan, voice)
        bars = iter(melody)
        assert len(list(islice(bars, INTRO_BARS))) == INTRO_BARS
        try:
            for _ in lyrics.splitlines():
                read = list(islice(bars, 2))
                if len(read) < 2:
                    return
                self.n_sung += 1
                yield Phrase(read[0].start, tone(1.0))
        finally:
            self.is_closed = True


def tone(seconds: float, hertz: float = 3000.0) -> NDArray[np.float32]:
    """A tone that no instrument of the arrangement plays so loudly."""
    return (0.5 * np.sin(np.arange(int(seconds * RATE)) * 2 * np.pi * hertz / RATE)).astype(np.float32)
