"""The singer: lyrics and a melody in, sung phrases out, one after another, until either ends.

Knows nothing of requests, instruments or encodings.
"""

from collections.abc import Generator, Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np

from homeport.domain.errors import Unavailable
from homeport.engines.music.score import Bar, Note, TunePlan
from homeport.engines.music.singing.kokoro_singer import KokoroSinger, TimedPhrase
from homeport.engines.music.singing.melody_lines import INTRO_BARS, MelodyCursor, bars_of_phrase
from homeport.engines.music.singing.pitch import fold, pitch_curve
from homeport.engines.music.singing.syllables import LyricsReader, SungText, sung_lines
from homeport.engines.music.singing.timing import PhonemeFrames, phoneme_frames
from homeport.engines.synthesis import voices
from homeport.engines.synthesis.kokoro import FRAME, RATE, AudioSamples
from homeport.engines.synthesis.voices import Voice

SONG_RATE = 44_100
_FRAME_S = FRAME / RATE
_HALF = 2  # values of pitch and loudness in a frame
_RANGES = {"f": (50, 61), "m": (41, 52)}
"""MIDI numbers at which the model's voices follow the pitch that they are given, by gender: D3 to C#4, F2 to E3.

Measured note by note: from about E4 on, women's voices fall to the octave below, men's from about A3.
"""
_SLOWNESS = 1.15  # consonants are held a little longer than in speech
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
        onsets = [plan.seconds(note.start - notes[0].start) / _FRAME_S for note in notes]
        onsets.append(plan.seconds(notes[-1].start + notes[-1].length - notes[0].start) / _FRAME_S)
        spoken = self._model.speak(text.phonemes, speakers)
        nuclei = [index + 1 for index in text.nuclei]  # the model's first frame stands for the silence before
        frames, lead = phoneme_frames(spoken.frames * _SLOWNESS, nuclei, onsets)
        timed = self._model.time(spoken, frames)
        vowels = _spans(frames, nuclei)
        curve = pitch_curve([note.pitch for note in notes], vowels, len(timed.pitch))
        is_sung = timed.is_voiced()
        for first, after in vowels:
            is_sung[first:after] = True
        pitch = np.where(is_sung, curve, timed.pitch).astype(np.float32)
        samples = self._model.sing(timed, pitch, _loudness(timed, vowels))
        lead_quarters = Fraction(round(lead * _FRAME_S / plan.seconds(Fraction(1)) * 960), 960)
        return SungPhrase(notes[0].start - lead_quarters, _resampled(_leveled(samples)), notes)


def vocal_range(voice: str) -> tuple[int, int]:
    """Return the lowest and the highest note (MIDI) of one of Kokoro's voices: the second letter is its gender."""
    return _RANGES.get(voice[1:2], _RANGES["f"])


def _spans(frames: PhonemeFrames, nuclei: list[int]) -> list[tuple[int, int]]:
    """Return for each vowel its first half frame and the one after its last."""
    ends = np.cumsum(frames) * _HALF
    return [(int(ends[index] - frames[index] * _HALF), int(ends[index])) for index in nuclei]


def _loudness(timed: TimedPhrase, vowels: list[tuple[int, int]]) -> AudioSamples:
    """Raise weak vowels to the median of all, so that the voice does not fade at the end of a phrase as in speech."""
    loudness = timed.loudness.copy()
    level = float(np.median(np.concatenate([loudness[first:after] for first, after in vowels])))
    for first, after in vowels:
        loudness[first:after] = np.maximum(loudness[first:after], level)
    return loudness


def _leveled(samples: AudioSamples) -> AudioSamples:
    level = float(np.sqrt(np.mean(samples**2)))
    peak = float(np.abs(samples).max())
    return samples * min(_LEVEL / max(level, 1e-6), _PEAK / max(peak, 1e-6))


def _resampled(samples: AudioSamples) -> AudioSamples:
    """Return the audio at 44,100 Hz: its spectrum, with zeros above the old limit."""
    padded = np.pad(samples, (0, -len(samples) % _RESAMPLED_UNIT))
    size = len(padded) * SONG_RATE // RATE
    return np.asarray(np.fft.irfft(np.fft.rfft(padded), size) * (size / len(padded)), np.float32)
