"""Plays one composed tune: bars in, stereo sound out, bar after bar; where there are lyrics, they are sung.

A bar is played when all phrases that can sound in it have been sung. Knows nothing of requests, files or models.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from itertools import chain, islice
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.engines.music.arrangement import Arranger
from homeport.engines.music.parts import Part
from homeport.engines.music.sampler.instruments import RATE
from homeport.engines.music.sampler.reverb import Reverb
from homeport.engines.music.sampler.sampler import Sampler, limited
from homeport.engines.music.score import Bar, TunePlan

Samples = NDArray[np.float32]

_SUNG_MELODY, _SUNG_OTHERS = 0.25, 0.6  # instruments support a voice, and must not cover it
_VOICE_LEVEL, _VOICE_REVERB = 1.2, 0.12


class SungPhrase(Protocol):
    """A line of lyrics as sound: `start` in quarter notes, `samples` of one channel at `RATE`."""

    @property
    def start(self) -> Fraction:
        """When it begins."""
        ...

    @property
    def samples(self) -> Samples:
        """The voice alone."""
        ...


Phrases = Iterator[SungPhrase]


class PlayedBar(NamedTuple):
    """The sound of one bar, [samples, 2], or what sounds after the last one. `bars`: how many have been played."""

    samples: Samples
    bars: int


def play(plan: TunePlan, bars: Iterator[Bar], seed: int) -> Generator[PlayedBar, None, None]:
    """Play a tune on instruments alone."""
    playback = _Playback(plan, seed)
    for bar in bars:
        yield playback.play(bar)
    yield playback.finish()


def play_and_sing(
    plan: TunePlan, bars: Iterator[Bar], seed: int, sing: "SingMelody", n_silent: int = 0
) -> Generator[PlayedBar | None, None, None]:
    """Play a tune with a voice; None after a phrase that completes no bar. `sing` reads bars as far as it needs them.

    No phrase starts in the first `n_silent` bars, which are played at once. The bars that `sing` does not read are
    played after the last phrase.
    """
    playback = _Playback(plan, seed)
    unplayed: deque[Bar] = deque()
    intro: list[Bar] = []
    for bar in islice(bars, n_silent):
        intro.append(bar)
        yield playback.play(bar)

    def melody() -> Iterator[Bar]:
        yield from intro
        for bar in bars:
            unplayed.append(bar)
            yield bar

    with closing(sing(melody())) as phrases:
        for phrase in phrases:
            playback.add(phrase)
            is_bar = False
            # Until the next phrase is sung, nothing is known from the start of this one on.
            while unplayed and unplayed[0].start + unplayed[0].length <= phrase.start:
                yield playback.play(unplayed.popleft())
                is_bar = True
            if not is_bar:
                yield None
    for bar in chain(unplayed, bars):
        yield playback.play(bar)
    yield playback.finish()


class SingMelody(Protocol):
    """Sings a melody: yields the phrases in the order of their starts."""

    def __call__(self, melody: Iterable[Bar], /) -> Generator[SungPhrase, None, None]:
        """Sing, reading bars only as far as the next phrase needs them."""
        ...


class _Voice(msgspec.Struct):
    """A phrase and its first sample's position in the song."""

    start: int
    samples: Samples


class _Playback:
    """The arrangement, the instruments and the voice of one tune, as far as it has been played."""

    def __init__(self, plan: TunePlan, seed: int) -> None:
        self._plan = plan
        self._arranger = Arranger(plan, seed)
        self._sampler = Sampler()
        self._voices: list[_Voice] = []
        self._reverb = Reverb()
        self._is_sung = False
        self._position = 0
        self._bars = 0

    def add(self, phrase: SungPhrase) -> None:
        """Add a phrase, which starts in no bar that has been played."""
        self._voices.append(_Voice(round(self._plan.seconds(phrase.start) * RATE), phrase.samples))
        self._is_sung = True

    def play(self, bar: Bar) -> PlayedBar:
        """Play the next bar."""
        end = bar.start + bar.length
        parts = self._arranger.arrange(bar)
        if any(self._sounds(voice, bar) for voice in self._voices):
            parts = tuple(_softened(part) for part in parts)
        self._bars += 1
        return PlayedBar(self._with_voice(self._sampler.render(parts, self._plan, end)), self._bars)

    def finish(self) -> PlayedBar:
        """Return what still sounds after the last bar."""
        rest = self._sampler.finish()
        ends = [voice.start + len(voice.samples) - self._position for voice in self._voices]
        missing = max(ends, default=0) - len(rest)
        if missing > 0:
            rest = np.concatenate([rest, np.zeros((missing, 2), np.float32)])
        return PlayedBar(self._with_voice(rest), self._bars)

    def _sounds(self, voice: _Voice, bar: Bar) -> bool:
        start, end = (self._plan.seconds(at) * RATE for at in (bar.start, bar.start + bar.length))
        return voice.start < end and voice.start + len(voice.samples) > start

    def _with_voice(self, block: Samples) -> Samples:
        """Return the block with what is sung meanwhile. Without any voice it stays as it is."""
        if not self._is_sung:
            self._position += len(block)
            return block
        voice = np.zeros(len(block), np.float32)
        for each in self._voices:
            first, skipped = max(each.start - self._position, 0), max(self._position - each.start, 0)
            audible = each.samples[skipped : skipped + max(len(block) - first, 0)]
            voice[first : first + len(audible)] += audible
        self._position += len(block)
        self._voices = [each for each in self._voices if each.start + len(each.samples) > self._position]
        voice *= np.float32(_VOICE_LEVEL)
        return limited(block + voice[:, None] + self._reverb.next(voice) * np.float32(_VOICE_REVERB))


def _softened(part: Part) -> Part:
    return msgspec.structs.replace(part, volume=part.volume * (_SUNG_MELODY if part.is_melody else _SUNG_OTHERS))
