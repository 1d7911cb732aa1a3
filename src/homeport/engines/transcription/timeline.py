"""Puts segments and words in order of time, within the recording, in the requested script.

Models compute the times of each window separately, so neighbors may overlap a little. Knows nothing of audio or models.
"""

from collections.abc import Callable
from typing import Any

from homeport.domain.events import TranscriptSegment, TranscriptWord
from homeport.engines.transcription.chinese_script import converter_to


class Timeline:
    """One recording's segments. No segment, and no word, begins before the previous one has ended."""

    def __init__(self, seconds: float, script: str | None = None) -> None:
        self._seconds = seconds
        self._convert: Callable[[str], str] = converter_to(script) if script else str
        self._segments_end = 0.0
        self._words_end = 0.0

    def put(self, segment: Any) -> TranscriptSegment:
        """Return the next segment of faster-whisper as an event."""
        text = self._convert(segment.text)
        words = self._words(segment.words or (), segment.text, text)
        start = self._inside(segment.start, self._segments_end)
        self._segments_end = self._inside(segment.end, start)
        return TranscriptSegment(
            seek=int(segment.seek),
            start=start,
            end=self._segments_end,
            text=text,
            tokens=tuple(map(int, segment.tokens)),
            temperature=float(segment.temperature),
            avg_logprob=float(segment.avg_logprob),
            compression_ratio=float(segment.compression_ratio),
            no_speech_prob=float(segment.no_speech_prob),
            words=words,
        )

    def _words(self, words: Any, original: str, text: str) -> tuple[TranscriptWord, ...]:
        """Return words as spelled in the text: the conversion of a character may depend on its neighbors."""
        result: list[TranscriptWord] = []
        at = 0
        is_aligned = len(original) == len(text) and "".join(word.word for word in words) == original
        for word in words:
            spelled = text[at : at + len(word.word)] if is_aligned else self._convert(word.word)
            at += len(word.word)
            start = self._inside(word.start, self._words_end)
            self._words_end = self._inside(word.end, start)
            result.append(TranscriptWord(spelled, start, self._words_end))
        return tuple(result)

    def _inside(self, time: float, earliest: float) -> float:
        return min(max(round(float(time), 3), earliest), self._seconds)
