"""What was heard, written down: as plain text, as subtitles, as OpenAI's JSON in both lengths, as it grows.

Knows nothing of requests or of who listens.
"""

import math
from collections.abc import Sequence

import msgspec

from homeport.api import json_codec
from homeport.api.transcriptions.languages import NAMES
from homeport.domain.events import (
    Event,
    RecordingInfo,
    TranscriptSegment,
    Usage,
)


class DurationUsage(msgspec.Struct):
    """What whisper-1 counts: begun seconds."""

    seconds: int
    type: str = "duration"


class AudioInputDetails(msgspec.Struct):
    """Of the tokens read, how many were text and how many sound."""

    text_tokens: int
    audio_tokens: int


class TokenUsage(msgspec.Struct):
    """What today's models count. A second of sound is 50 tokens: what Whisper's encoder makes of it."""

    input_tokens: int
    input_token_details: AudioInputDetails
    output_tokens: int
    total_tokens: int
    type: str = "tokens"


class TranscriptionBody(msgspec.Struct):
    """The answer of `json`."""

    text: str
    usage: DurationUsage


class VerboseSegmentBody(msgspec.Struct):
    """A segment of `verbose_json`. Times in seconds, `seek` in hundredths."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: Sequence[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class VerboseWordBody(msgspec.Struct):
    """A word of `verbose_json`. Times in seconds."""

    word: str
    start: float
    end: float


class VerboseTranscriptionBody(msgspec.Struct, omit_defaults=True):
    """The answer of `verbose_json`. `words` and `segments` stand there where they were asked for."""

    task: str
    language: str
    duration: float
    text: str
    usage: DurationUsage
    words: list[VerboseWordBody] | None = None
    segments: list[VerboseSegmentBody] | None = None


class TranscriptTextDelta(msgspec.Struct):
    """A stream's event: more text."""

    delta: str
    type: str = "transcript.text.delta"


class TranscriptTextDone(msgspec.Struct):
    """A stream's last event: all text."""

    text: str
    usage: TokenUsage
    type: str = "transcript.text.done"


class TranscriptCollector:
    """Collects a request's events."""

    def __init__(self) -> None:
        self.language = ""
        self.seconds = 0.0
        self.segments: list[TranscriptSegment] = []

    def add(self, events: Sequence[Event]) -> str:
        """Take what has just arrived; give the text that it adds."""
        more = ""
        for event in events:
            if isinstance(event, RecordingInfo):
                self.language, self.seconds = event.language, event.seconds
            elif isinstance(event, TranscriptSegment):
                more += event.text if self.segments else event.text.lstrip()
                self.segments.append(event)
        return more

    @property
    def text(self) -> str:
        """All of it, as one text."""
        return "".join(segment.text for segment in self.segments).lstrip()

    def to_json(self) -> bytes:
        """As `json`."""
        return json_codec.encode(TranscriptionBody(self.text, self._duration()))

    def to_verbose_json(self, task: str, language: str | None, *, words: bool, segments: bool) -> bytes:
        """As `verbose_json`. `language`: of the text, where it is not the one that was heard."""
        spoken = NAMES.get(self.language, self.language) or "unknown"  # nobody speaks
        document = VerboseTranscriptionBody(task, language or spoken, self.seconds, self.text, self._duration())
        if words:
            found = (word for segment in self.segments for word in segment.words)
            document.words = [VerboseWordBody(word.word.strip(), word.start, word.end) for word in found]
        if segments:
            document.segments = [_verbose(number, segment) for number, segment in enumerate(self.segments)]
        return json_codec.encode(document)

    def to_text(self) -> bytes:
        """As `text`."""
        return f"{self.text}\n".encode()

    def to_srt(self) -> bytes:
        """As SubRip subtitles."""
        cues = (f"{n}\n{_span(segment, ',')}\n{_plain(segment.text)}\n\n" for n, segment in enumerate(self.segments, 1))
        return "".join(cues).encode()

    def to_vtt(self) -> bytes:
        """As WebVTT subtitles (W3C)."""
        cues = (f"{_span(segment, '.')}\n{_escape_vtt(segment.text.strip())}\n\n" for segment in self.segments)
        return ("WEBVTT\n\n" + "".join(cues)).encode()

    def to_done_event(self, usage: Usage) -> TranscriptTextDone:
        """The last event of a stream."""
        audio = math.ceil(self.seconds * 50)
        read = AudioInputDetails(max(0, usage.prompt_tokens - audio), min(audio, usage.prompt_tokens))
        total = usage.prompt_tokens + usage.completion_tokens
        return TranscriptTextDone(self.text, TokenUsage(usage.prompt_tokens, read, usage.completion_tokens, total))

    def _duration(self) -> DurationUsage:
        return DurationUsage(math.ceil(self.seconds))


def _verbose(number: int, segment: TranscriptSegment) -> VerboseSegmentBody:
    kept = {name: getattr(segment, name) for name in VerboseSegmentBody.__struct_fields__ if name != "id"}
    return VerboseSegmentBody(id=number, **kept)


def _span(segment: TranscriptSegment, point: str) -> str:
    return f"{_clock(segment.start, point)} --> {_clock(segment.end, point)}"


def _clock(seconds: float, point: str) -> str:
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{ms:03d}"


def _plain(text: str) -> str:
    """SubRip knows no escapes, and reads an arrow as times."""
    return text.strip().replace("-->", "->")


def _escape_vtt(text: str) -> str:
    """WebVTT reads these as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
