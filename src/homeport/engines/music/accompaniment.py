"""Chords and a pattern become notes: chord tones near those before, a bass line, drums. Knows nothing of melodies."""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

from homeport.engines.music.harmony import Chord, ChordSpan
from homeport.engines.music.parts import PlayedNote
from homeport.engines.music.score import PITCH_CLASSES
from homeport.engines.music.styles import Drums

EIGHTH = Fraction(1, 2)
_SILENCE, _HELD = ".", "-"
_STRUM = Fraction(1, 48)
_LOWEST, _HIGHEST, _CENTRE = 50, 69, 59
_BASS_LOWEST, _BASS_HIGHEST = 31, 47
_CHORD_VELOCITIES = {"D": 84, "d": 68, "u": 56}
_TONE_VELOCITY, _BASS_VELOCITY, _PAD_VELOCITY = 72, 88, 60
_DRUM_VELOCITIES = {"x": 100, "o": 76, "g": 48}
_FILL_VELOCITIES = (62, 96)
_DRUM_LENGTH = Fraction(1, 4)


class ChordPlayer:
    """Plays chords with as little movement from one to the next as possible."""

    def __init__(self) -> None:
        self._voicing: tuple[int, ...] = ()

    def voicing(self, chord: Chord) -> tuple[int, ...]:
        """Return four pitches of a chord, from below, near those of the chord before."""
        choices = _voicings(chord)
        previous = self._voicing or (_CENTRE - 7, _CENTRE - 3, _CENTRE + 2, _CENTRE + 6)
        centre = (_CENTRE,) * len(previous)
        self._voicing = min(choices, key=lambda one: (_distance(one, previous) + _distance(one, centre) / 4, one))
        return self._voicing

    def play(self, spans: Sequence[ChordSpan], pattern: str, *, is_strummed: bool) -> list[PlayedNote]:
        """Return the notes of a pattern over the chords of a bar. Struck tones follow each other fast if strummed."""
        notes: list[PlayedNote] = []
        voicings = {span: self.voicing(span.chord) for span in spans}
        for start, length, mark in _events(spans, pattern):
            tones = voicings[_sounding(spans, start)]
            if mark.isdigit():
                notes.append(PlayedNote(start, length, tones[int(mark) % len(tones)], _TONE_VELOCITY))
                continue
            struck = tones[-3:][::-1] if mark == "u" else tones
            for index, pitch in enumerate(struck):
                delay = _STRUM * index if is_strummed else Fraction(0)
                velocity = _CHORD_VELOCITIES[mark] - 2 * index
                notes.append(PlayedNote(start + delay, max(length - delay, _STRUM), pitch, velocity))
        return notes

    def hold(self, spans: Sequence[ChordSpan]) -> list[PlayedNote]:
        """Return each chord held as long as it sounds, softly, without its lowest tone."""
        return [
            PlayedNote(span.start, span.length, pitch, _PAD_VELOCITY)
            for span in spans
            for pitch in self.voicing(span.chord)[1:]
        ]


def bass(spans: Sequence[ChordSpan], pattern: str) -> list[PlayedNote]:
    """Return the bass line of a bar. Where a chord begins, the bass plays its root, whatever the pattern says."""
    notes = []
    chord = None
    for start, length, mark in _events(spans, pattern):
        span = _sounding(spans, start)
        if span.chord != chord:
            chord, mark = span.chord, "r"
        root = _BASS_LOWEST + (chord.root - _BASS_LOWEST) % PITCH_CLASSES
        fifth = root + 7 if root + 7 <= _BASS_HIGHEST else root - 5
        pitch = {"r": root, "5": fifth, "8": root + PITCH_CLASSES}[mark]
        notes.append(PlayedNote(start, length, pitch, _BASS_VELOCITY))
    return notes


def drums(start: Fraction, patterns: Drums) -> list[PlayedNote]:
    """Return the strokes of a bar that starts at `start`."""
    return [
        PlayedNote(start + index * EIGHTH, _DRUM_LENGTH, key, _DRUM_VELOCITIES[mark])
        for key, pattern in patterns.items()
        for index, mark in enumerate(pattern)
        if mark not in {_SILENCE, _HELD}
    ]


def fill(start: Fraction, length: Fraction, keys: Sequence[int]) -> list[PlayedNote]:
    """Return a drum fill: eighths over `length`, from one drum to the next and louder."""
    n_strokes = max(1, int(length / EIGHTH))
    strokes = []
    for index in range(n_strokes):
        velocity = _FILL_VELOCITIES[0] + (_FILL_VELOCITIES[1] - _FILL_VELOCITIES[0]) * index // n_strokes
        key = keys[index * len(keys) // n_strokes]
        strokes.append(PlayedNote(start + index * EIGHTH, _DRUM_LENGTH, key, velocity))
    return strokes


def _events(spans: Sequence[ChordSpan], pattern: str) -> list[tuple[Fraction, Fraction, str]]:
    """Return the start, length and mark of each event of a pattern; none sounds into the next chord."""
    bar_start, bar_end = spans[0].start, spans[-1].start + spans[-1].length
    events = []
    for index, mark in enumerate(pattern):
        start = bar_start + index * EIGHTH
        if mark in {_SILENCE, _HELD} or start >= bar_end:
            continue
        held = len(list(itertools.takewhile(lambda following: following == _HELD, pattern[index + 1 :])))
        span = _sounding(spans, start)
        end = min(start + (1 + held) * EIGHTH, span.start + span.length)
        events.append((start, end - start, mark))
    return events


def _sounding(spans: Sequence[ChordSpan], at: Fraction) -> ChordSpan:
    return next(span for span in reversed(spans) if span.start <= at)


@cache
def _voicings(chord: Chord) -> list[tuple[int, ...]]:
    """Return the chord in close and open positions: four tones in the range, with all of the chord's."""
    pitches = [pitch for pitch in range(_LOWEST, _HIGHEST + 1) if pitch % PITCH_CLASSES in chord.pitch_classes]
    classes = {*chord.pitch_classes}
    return [
        four
        for four in itertools.combinations(pitches, 4)
        if {pitch % PITCH_CLASSES for pitch in four} == classes
        and all(2 < high - low < PITCH_CLASSES for low, high in itertools.pairwise(four))
    ]


def _distance(one: Sequence[int], other: Sequence[int]) -> float:
    return sum(abs(pitch - before) for pitch, before in zip(one, other, strict=True))
