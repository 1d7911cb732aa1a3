"""Composes melodies bar by bar: tunes of two sections of eight bars, repeated as players do, in exact bars.

A tune is AABB, and is played twice before the next one. Same plan and seed, same notes. Knows nothing of prompts,
accompaniment and sound.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np

from homeport.engines.music.genres import GENRE_BY_NAME
from homeport.engines.music.score import Bar, Note, TunePlan
from homeport.engines.music.tunes import layout
from homeport.engines.music.tunes.layout import SECTION_BARS, Echoes, Heading, NoteToken, Place, Vocabulary
from homeport.engines.music.tunes.network import Decoder, Numbers, TuneModel, load
from homeport.engines.music.tunes.rules import Mask, Rules

_PARTS = 2  # different sections of a tune
_TUNE_SECTIONS = 4  # AABB
_TIMES = 2  # a tune is played before the next one
_TEMPERATURE = 0.9
_TOP_P = 0.96
Beats = tuple[tuple[NoteToken, ...], ...]


class Composer:
    """The bundled model, ready to compose. One instance serves any number of songs, one thread at a time or several."""

    def __init__(self, path: Path) -> None:
        """Load the model file. Raises EngineFailed if it is missing or damaged."""
        self._model = load(path)

    def compose(self, plan: TunePlan, seed: int) -> Iterator[Bar]:
        """Yield the bars of a song: an upbeat perhaps, then whole sections until `plan.bars` bars are reached.

        The last bar ends on the tonic. Closing the iterator ends the work.
        """
        song = _Song(self._model, plan, np.random.default_rng(seed))
        return song.bars()


def form(sections: int) -> list[tuple[int, int]]:
    """Return what is played for a number of sections: (tune, part) of each. The last one is the second part of a tune.

    A single section is that part alone.
    """
    played = []
    tunes, rest = divmod(sections, _TUNE_SECTIONS)
    for number in range(tunes):
        played += [(number // _TIMES, part) for part in (0, 0, 1, 1)]
    number = max(tunes - 1, 0) // _TIMES if rest == 1 else tunes // _TIMES
    return played + [(number, part) for part in ((), (1,), (0, 1), (0, 0, 1))[rest]]


class _Song:
    """One song in the making."""

    def __init__(self, model: TuneModel, plan: TunePlan, generator: np.random.Generator) -> None:
        self._model, self._plan, self._generator = model, plan, generator
        style = GENRE_BY_NAME[plan.genre].style
        self._heading = layout.heading(style, plan.metre, plan.key)
        self._rules = Rules(model.vocabulary, self._heading, plan.key.tonic)
        self._zero = layout.tonic_pitch(plan.key.tonic)
        self._start = Fraction(0)

    def bars(self) -> Iterator[Bar]:
        sections = max(-(-self._plan.bars // SECTION_BARS), 1)
        played = form(sections)
        tune: _Tune | None = None
        number = -1
        for index, (wanted, part) in enumerate(played):
            if tune is None or wanted != number:
                parts = len({other for which, other in played if which == wanted})
                tune = _Tune(self._model, self._heading, self._rules, self._generator, is_first=index == 0, parts=parts)
                number = wanted
                if tune.upbeat:
                    yield self._bar(tune.upbeat_notes())
            chosen = part if tune.parts == _PARTS else 0
            for count, notes in enumerate(tune.section(chosen), 1):
                ends = count == SECTION_BARS
                bar = self._bar(notes)
                yield msgspec.structs.replace(bar, ends_section=ends, is_last=ends and index == len(played) - 1)

    def _bar(self, notes: tuple[NoteToken, ...]) -> Bar:
        start, written = self._start, []
        for note in notes:
            length = layout.quarter_notes(note.ticks)
            if note.pitch is not None:
                written.append(Note(self._start, length, self._zero + note.pitch))
            self._start += length
        return Bar(start, self._start - start, tuple(written))


class _Tune:
    """A tune of up to two sections. A section is composed once, bar by bar, and remembered for its repeats."""

    def __init__(
        self,
        model: TuneModel,
        heading: Heading,
        rules: Rules,
        generator: np.random.Generator,
        *,
        is_first: bool,
        parts: int,
    ) -> None:
        self._vocabulary, self._heading, self._rules, self._generator = model.vocabulary, heading, rules, generator
        self.parts = parts
        self._decoder = Decoder(model, (heading.style, heading.metre, heading.mode))
        self._sections: list[Beats] = []
        self._echoes = Echoes()
        start = Place(0, SECTION_BARS, parts - 1)
        scores = self._decoder.step(Vocabulary.START, (*start.clamped(), *self._echoes.at(start)))
        token = self._sampled(scores, rules.upbeats(is_first=is_first))
        self.upbeat = model.vocabulary.upbeats[token - 1]
        self._place = layout.opening(heading, self.upbeat, SECTION_BARS, parts - 1)
        self._scores = self._step(token)

    def upbeat_notes(self) -> tuple[NoteToken, ...]:
        """Compose the notes before the first bar."""
        return self._composed_bar()

    def section(self, part: int) -> Iterator[tuple[NoteToken, ...]]:
        """Yield the bars of a section; parts are asked for in order, each as often as wanted."""
        if part < len(self._sections):
            yield from self._sections[part]
            return
        bars = []
        for _ in range(SECTION_BARS):
            bars.append(self._composed_bar())
            yield bars[-1]
        self._sections.append(tuple(bars))

    def _composed_bar(self) -> tuple[NoteToken, ...]:
        notes: list[NoteToken] = []
        while not notes or self._place.tick:
            token = self._sampled(self._scores, self._rules.notes(self._place))
            note = self._vocabulary.note(token)
            notes.append(note)
            before = self._place
            self._place = layout.advance(self._heading, before, note.ticks, SECTION_BARS)
            self._echoes.add(before, token, self._place)
            self._scores = self._step(token)
        return tuple(notes)

    def _step(self, token: int) -> Numbers:
        return self._decoder.step(token, (*self._place.clamped(), *self._echoes.at(self._place)))

    def _sampled(self, scores: Numbers, allowed: Mask) -> int:
        """Draw one of the allowed tokens among the likeliest, which together have _TOP_P of the probability."""
        tokens = np.flatnonzero(allowed)
        weights = np.exp((scores[tokens].astype(np.float64) - scores[tokens].max()) / _TEMPERATURE)
        order = np.argsort(-weights, kind="stable")
        sums = np.cumsum(weights[order])
        kept = int(np.searchsorted(sums, _TOP_P * sums[-1])) + 1
        drawn = self._generator.random() * sums[min(kept, len(sums)) - 1]
        return int(tokens[order[int(np.searchsorted(sums, drawn, side="right"))]])
