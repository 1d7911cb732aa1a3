"""Renders parts to stereo sound, block after block. Knows nothing of harmony, streams or audio files.

A note's sound is computed whole when the note is added and mixed into each block in which it sounds. The soft limiter
is a function of the single sample, so blocks join without a seam.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from homeport.engines.music.parts import Part, PlayedNote
from homeport.engines.music.sampler import instruments
from homeport.engines.music.sampler.instruments import INSTRUMENTS, RATE, Instrument, Samples
from homeport.engines.music.sampler.reverb import LENGTH_S, Reverb
from homeport.engines.music.score import TunePlan

_REVERB_LEVEL = 0.16
_MASTER = 1.75
_KNEE, _CEILING = 0.75, 0.98
_MAX_END_S = 6.0
_Bus = tuple[float, float]


class _Sound(msgspec.Struct):
    """A note's sound: its first sample's position in the song and its samples."""

    start: int
    samples: Samples


class Sampler:
    """Renders one song in consecutive calls. Raises OSError if the instruments cannot be read."""

    def __init__(self, file: Path = INSTRUMENTS) -> None:
        self._instruments = instruments.load(file)
        self._position = 0
        self._sounds: dict[_Bus, list[_Sound]] = {}
        self._reverb = Reverb()

    def render(self, parts: Iterable[Part], plan: TunePlan, until: Fraction) -> npt.NDArray[np.float32]:
        """Add the notes of `parts` and return the sound up to `until` (quarter notes), [samples, 2], from -1 to 1.

        What sounds longer continues in the next call. No note may start before the `until` of the call before. Raises
        ValueError if one does, and KeyError for an unknown instrument.
        """
        for part in parts:
            self._add(part, plan)
        return self._mix(_position(plan, until) - self._position)

    def finish(self) -> npt.NDArray[np.float32]:
        """Return what still sounds after the last call, with the end of the reverb, [samples, 2]."""
        ends = [sound.start + len(sound.samples) for sounds in self._sounds.values() for sound in sounds]
        length = min(max(ends, default=self._position) - self._position, int(_MAX_END_S * RATE))
        mixed = self._mix(length + int(LENGTH_S * RATE))
        n_fade = min(RATE // 2, len(mixed))
        mixed[len(mixed) - n_fade :] *= np.linspace(1, 0, n_fade, dtype=np.float32)[:, None]
        self._sounds.clear()
        return mixed

    def _add(self, part: Part, plan: TunePlan) -> None:
        instrument = self._instruments.instrument(part.instrument)
        bus = self._sounds.setdefault((part.pan, part.reverb), [])
        for note in part.notes:
            start = _position(plan, note.start)
            if start < self._position:
                raise ValueError(f"A note of {part.name} starts at {note.start}, which is rendered already.")
            held = _position(plan, note.start + note.length) - start
            bus.append(_Sound(start, self._sound(instrument, note, held) * np.float32(part.volume)))

    def _sound(self, instrument: Instrument, note: PlayedNote, held: int) -> Samples:
        tone = self._instruments.tone(instrument, note.pitch, held + instruments.MAX_RELEASE_SAMPLES)
        if instrument.is_drums:
            held = len(tone.samples)
        samples = tone.samples[: held + len(tone.release)] * np.float32((note.velocity / 127) ** 2)
        released = samples[held:]
        released *= tone.release[: len(released)]
        return samples

    def _mix(self, length: int) -> npt.NDArray[np.float32]:
        mixed = np.zeros((length, 2), np.float32)
        sent = np.zeros(length, np.float32)
        for (pan, reverb), sounds in self._sounds.items():
            dry = self._sum(sounds, length)
            angle = (pan + 1) * np.pi / 4
            mixed[:, 0] += dry * np.float32(np.cos(angle) * np.sqrt(2))
            mixed[:, 1] += dry * np.float32(np.sin(angle) * np.sqrt(2))
            sent += dry * np.float32(reverb)
        mixed += self._reverb.next(sent) * np.float32(_REVERB_LEVEL)
        self._position += length
        for bus, sounds in self._sounds.items():
            self._sounds[bus] = [sound for sound in sounds if sound.start + len(sound.samples) > self._position]
        return limited(mixed * np.float32(_MASTER))

    def _sum(self, sounds: Sequence[_Sound], length: int) -> Samples:
        total = np.zeros(length, np.float32)
        for sound in sounds:
            first = max(sound.start - self._position, 0)
            skipped = max(self._position - sound.start, 0)
            audible = sound.samples[skipped : skipped + max(length - first, 0)]
            total[first : first + len(audible)] += audible
        return total


def limited(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the samples with those beyond the knee bent towards the ceiling, which none exceeds."""
    is_loud = np.abs(samples) > _KNEE
    loud = samples[is_loud]
    room = _CEILING - _KNEE
    result = samples.copy()
    result[is_loud] = np.sign(loud) * (_KNEE + room * np.tanh((np.abs(loud) - _KNEE) / room))
    return result


def _position(plan: TunePlan, at: Fraction) -> int:
    return round(plan.seconds(at) * RATE)
