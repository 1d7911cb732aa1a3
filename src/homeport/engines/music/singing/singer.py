"""The singer: lyrics and a melody in, sung phrases out, one after another, until either ends.

Knows nothing of requests, instruments or encodings.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from homeport.domain.errors import Unavailable
from homeport.engines.music.score import Bar, Note, TunePlan
from homeport.engines.music.singing import vocoder
from homeport.engines.music.singing.kokoro_singer import KokoroSinger
from homeport.engines.music.singing.melody_lines import INTRO_BARS, MelodyCursor, bars_of_phrase
from homeport.engines.music.singing.pitch import fold, pitch_curve
from homeport.engines.music.singing.syllables import LyricsReader, SungText, sung_lines
from homeport.engines.music.singing.timing import sung_lengths, vowel_starts
from homeport.engines.synthesis import voices
from homeport.engines.synthesis.kokoro import FRAME, RATE, AudioSamples
from homeport.engines.synthesis.voices import Voice

SONG_RATE = 44_100
_FRAME_S = FRAME / RATE
_RANGES = {"f": (53, 64), "m": (41, 52)}
"""MIDI numbers in which the model's voices sing, by gender: F3 to E4, F2 to E3."""
_SPOKEN_RANGES = {"f": (52, 61), "m": (41, 50)}
"""MIDI numbers at which these voices follow the pitch that the model is given.

Measured note by note: from about E4 on, women's voices fall to the octave below, men's from about A3.
"""
_SLOWNESS = 1.15  # phrases are spoken a little slower than speech
_WEAK = 0.8  # a syllable is raised to this share of the median loudness …
_MAX_GAIN = 5.0  # … but not by more than this factor
_LEVEL = 0.12  # the root mean square of each phrase
_PEAK = 0.95
_RESAMPLED_UNIT = 80  # 24,000 / gcd(24,000, 44,100): lengths in whole units stay whole numbers of samples


class SungPhrase(msgspec.Struct, frozen=True):
    """One phrase. `samples`: float32, mono, 44,100 Hz, from `start` (quarter notes, where its first consonant is).

    `notes`: the melody as sung, moved by octaves into the voice's range, one note a syllable.
    """

    start: Fraction
    samples: AudioSamples
    notes: tuple[Note, ...]


class Singer:
    """A loaded voice model. `files`: those of the speech model by role. Not thread-safe. Raises Unavailable."""

    def __init__(self, files: Mapping[str, Path], threads: int) -> None:
        missing = {"weights", "vocabulary"} - set(files)
        if missing:
            raise Unavailable(f"The speech model has no file for the role {min(missing)}: pull it again.")
        self._model = KokoroSinger(dict(files), threads)
        self._reader = LyricsReader(self._model.alphabet)

    def bars(self, lyrics: str, plan: TunePlan, voice: str) -> int:
        """Return how many whole bars a song needs for all of these lyrics, the intro included.

        Raises InvalidRequest as `sing` does.
        """
        sung_lines(lyrics)
        position = INTRO_BARS
        for text in self._reader.phrases(lyrics, voices.find(voice, self._model.voices)):
            count = bars_of_phrase(len(text.nuclei), plan)
            position += -position % min(count, 2) + count
        return position

    def sing(self, lyrics: str, melody: Iterable[Bar], plan: TunePlan, voice: str) -> Generator[SungPhrase, None, None]:
        """Iterate over the sung phrases, in order; `INTRO_BARS` whole bars come before the first.

        It ends with the lyrics or with the melody: a phrase that no longer fits is not sung. Closing the iterator
        stops it between phrases. Raises InvalidRequest, before any work, for an unknown voice or lyrics without
        anything to sing.
        """
        found = voices.find(voice, self._model.voices)
        sung_lines(lyrics)
        return self._phrases(lyrics, MelodyCursor(melody, plan), plan, found)

    def _phrases(
        self, lyrics: str, melody: MelodyCursor, plan: TunePlan, voice: Voice
    ) -> Generator[SungPhrase, None, None]:
        for text in self._reader.phrases(lyrics, voice):
            notes = melody.take(len(text.nuclei))
            if not notes:
                return
            yield self._phrase(text, notes, plan, voice)

    def _phrase(self, text: SungText, notes: tuple[Note, ...], plan: TunePlan, voice: Voice) -> SungPhrase:
        speakers = voice.speakers(text.language)
        low, high = vocal_range(speakers[0])
        notes = tuple(Note(note.start, note.length, fold(note.pitch, low, high)) for note in notes)
        pitches = [note.pitch for note in notes]
        onsets = [plan.seconds(note.start - notes[0].start) for note in notes]
        onsets.append(plan.seconds(notes[-1].start + notes[-1].length - notes[0].start))
        samples, vowels = self._speak(text, pitches, speakers)
        spoken = vocoder.analyse(samples)
        starts = [round(vowel / vocoder.STEP_S) for vowel in vowels]
        loudness = spoken.loudness()
        lengths = sung_lengths(loudness, starts, [onset / vocoder.STEP_S for onset in onsets])
        sung, places = spoken.held(lengths)
        lead_s = float(lengths[: starts[0]].sum()) * vocoder.STEP_S
        curve = pitch_curve(pitches, [lead_s + onset for onset in onsets], len(places), vocoder.STEP_S)
        samples = vocoder.synthesize(sung, curve, np.interp(places, *_gains(loudness, starts)))
        lead_quarters = Fraction(round(lead_s / plan.seconds(Fraction(1)) * 960), 960)
        return SungPhrase(notes[0].start - lead_quarters, _resampled(_leveled(samples)), notes)

    def _speak(
        self, text: SungText, pitches: Sequence[int], speakers: Sequence[str]
    ) -> tuple[AudioSamples, list[float]]:
        """Return the phrase in the model's own rhythm, near the notes' pitch, and the seconds of `vowel_starts`."""
        spoken = self._model.speak(text.phonemes, speakers)
        lengths = np.maximum(np.round(spoken.frames * _SLOWNESS), 1).astype(np.int64)
        vowels = [start * _FRAME_S for start in vowel_starts(text.phonemes, text.nuclei, lengths)]
        timed = self._model.time(spoken, lengths)
        low, high = _range_of(_SPOKEN_RANGES, speakers[0])
        near = [min(max(pitch, low), high) for pitch in pitches]
        curve = pitch_curve(near, vowels, len(timed.pitch), _FRAME_S / 2)
        pitch = np.where(timed.is_voiced(), curve, timed.pitch).astype(np.float32)
        return self._model.sing(timed, pitch, timed.loudness), vowels


def vocal_range(voice: str) -> tuple[int, int]:
    """Return the lowest and the highest note (MIDI) of one of Kokoro's voices."""
    return _range_of(_RANGES, voice)


def _range_of(ranges: Mapping[str, tuple[int, int]], voice: str) -> tuple[int, int]:
    """Return a voice's range: the second letter of its name is the gender."""
    return ranges.get(voice[1:2], ranges["f"])


def _gains(loudness: vocoder.FloatArray, starts: Sequence[int]) -> tuple[list[float], vocoder.FloatArray]:
    """Return the middle of each syllable and its gain, so that the voice does not fade within a phrase as in speech."""
    peaks = np.array([loudness[first:after].max() for first, after in pairwise(starts)])
    gains = np.clip(_WEAK * np.median(peaks) / np.maximum(peaks, 1e-9), 1, _MAX_GAIN)
    return [(first + after) / 2 for first, after in pairwise(starts)], gains


def _leveled(samples: AudioSamples) -> AudioSamples:
    level = float(np.sqrt(np.mean(samples**2)))
    peak = float(np.abs(samples).max())
    return samples * min(_LEVEL / max(level, 1e-6), _PEAK / max(peak, 1e-6))


def _resampled(samples: AudioSamples) -> AudioSamples:
    """Return the audio at 44,100 Hz: its spectrum, with zeros above the old limit."""
    padded = np.pad(samples, (0, -len(samples) % _RESAMPLED_UNIT))
    size = len(padded) * SONG_RATE // RATE
    return np.asarray(np.fft.irfft(np.fft.rfft(padded), size) * (size / len(padded)), np.float32)
