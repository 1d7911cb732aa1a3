"""Puts segments and words in order of time, inside the recording, in the script that was asked for.

Models give times of each window by itself, so neighbours may overlap a little. Knows nothing of sound or models.
"""

from collections.abc import Callable
from typing import Any

from homeport.domain.events import TranscriptSegment, TranscriptWord
from homeport.engines.transcription.chinese_script import converter_to


class Timeline:
    """One recording's segments. None begins before the one in front has ended; words neither."""

    def __init__(self, seconds: float, script: str | None = None) -> None:
        self._seconds = seconds
        self._fold: Callable[[str], str] = converter_to(script) if script else str
        self._segments_end = 0.0
        self._words_end = 0.0

    def put(self, found: Any) -> TranscriptSegment:
        """The next segment, of faster-whisper's shape, as an event."""
        text = self._fold(found.text)
        words = self._words(found.words or (), found.text, text)
        start = self._inside(found.start, self._segments_end)
        self._segments_end = self._inside(found.end, start)
        return TranscriptSegment(
            seek=int(found.seek),
            start=start,
            end=self._segments_end,
            text=text,
            tokens=tuple(map(int, found.tokens)),
            temperature=float(found.temperature),
            avg_logprob=float(found.avg_logprob),
            compression_ratio=float(found.compression_ratio),
            no_speech_prob=float(found.no_speech_prob),
            words=words,
        )

    def _words(self, words: Any, heard: str, text: str) -> tuple[TranscriptWord, ...]:
        """Words as they stand in the text: one character may be written in two ways, by what is beside it."""
        placed: list[TranscriptWord] = []
        at = 0
        is_aligned = len(heard) == len(text) and "".join(word.word for word in words) == heard
        for word in words:
            written = text[at : at + len(word.word)] if is_aligned else self._fold(word.word)
            at += len(word.word)
            start = self._inside(word.start, self._words_end)
            self._words_end = self._inside(word.end, start)
            placed.append(TranscriptWord(written, start, self._words_end))
        return tuple(placed)

    def _inside(self, time: float, earliest: float) -> float:
        return min(max(round(float(time), 3), earliest), self._seconds)
