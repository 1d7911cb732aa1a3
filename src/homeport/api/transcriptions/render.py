"""Transcripts as text, as subtitles, as OpenAI's two JSON formats, and as a stream of events.

Knows nothing of HTTP.
"""

import math
from collections.abc import Callable, Sequence

import msgspec

from homeport.api import json_codec
from homeport.api.streaming import DONE, sse_event
from homeport.api.transcriptions.languages import NAMES
from homeport.api.transcriptions.schema import TranscriptionForm, TranslationForm
from homeport.api.writer import CollectingWriter, Delivery, Writer
from homeport.domain.events import (
    Event,
    RecordingInfo,
    TranscriptSegment,
    Usage,
)


class DurationUsage(msgspec.Struct):
    """The usage of whisper-1: seconds, rounded up."""

    seconds: int
    type: str = "duration"


class AudioInputDetails(msgspec.Struct):
    """How many input tokens were text and how many audio."""

    text_tokens: int
    audio_tokens: int


class TokenUsage(msgspec.Struct):
    """The usage of today's models. A second of audio is 50 tokens, the number that Whisper's encoder produces."""

    input_tokens: int
    input_token_details: AudioInputDetails
    output_tokens: int
    total_tokens: int
    type: str = "tokens"


class TranscriptionBody(msgspec.Struct):
    """The body of `json`."""

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
    """The body of `verbose_json`, with `words` and `segments` if the caller asked for them."""

    task: str
    language: str
    duration: float
    text: str
    usage: DurationUsage
    words: list[VerboseWordBody] | None = None
    segments: list[VerboseSegmentBody] | None = None


class TranscriptTextDelta(msgspec.Struct):
    """A stream's event: more text, and when it is spoken, in seconds (an extension)."""

    delta: str
    start: float
    end: float
    type: str = "transcript.text.delta"


class TranscriptTextDone(msgspec.Struct):
    """A stream's last event: the whole text."""

    text: str
    usage: TokenUsage
    type: str = "transcript.text.done"


class TranscriptCollector:
    """The transcript, collected from events."""

    def __init__(self) -> None:
        self.language = ""
        self.seconds = 0.0
        self.segments: list[TranscriptSegment] = []

    def add(self, events: Sequence[Event]) -> str:
        """Add a batch of events; return the new text."""
        added = ""
        for event in events:
            if isinstance(event, RecordingInfo):
                self.language, self.seconds = event.language, event.seconds
            elif isinstance(event, TranscriptSegment):
                added += event.text if self.segments else event.text.lstrip()
                self.segments.append(event)
        return added

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(segment.text for segment in self.segments).lstrip()

    def to_json(self) -> bytes:
        """Render `json`."""
        return json_codec.encode(TranscriptionBody(self.text, self._duration()))

    def to_verbose_json(self, task: str, language: str | None, *, words: bool, segments: bool) -> bytes:
        """Render `verbose_json`. `language`: the name of the text's language, if it is not the spoken one."""
        spoken = NAMES.get(self.language, self.language) or "unknown"  # without speech there is no language
        document = VerboseTranscriptionBody(task, language or spoken, self.seconds, self.text, self._duration())
        if words:
            words_in_order = (word for segment in self.segments for word in segment.words)
            document.words = [VerboseWordBody(word.word.strip(), word.start, word.end) for word in words_in_order]
        if segments:
            document.segments = [_verbose(number, segment) for number, segment in enumerate(self.segments)]
        return json_codec.encode(document)

    def to_text(self) -> bytes:
        """Render `text`."""
        return f"{self.text}\n".encode()

    def to_srt(self) -> bytes:
        """Render SubRip subtitles."""
        cues = (f"{n}\n{_span(segment, ',')}\n{_plain(segment.text)}\n\n" for n, segment in enumerate(self.segments, 1))
        return "".join(cues).encode()

    def to_vtt(self) -> bytes:
        """Render WebVTT subtitles (W3C)."""
        cues = (f"{_span(segment, '.')}\n{_escape_vtt(segment.text.strip())}\n\n" for segment in self.segments)
        return ("WEBVTT\n\n" + "".join(cues)).encode()

    def to_done_event(self, usage: Usage) -> TranscriptTextDone:
        """Make the last event of a stream."""
        audio = math.ceil(self.seconds * 50)
        details = AudioInputDetails(max(0, usage.prompt_tokens - audio), min(audio, usage.prompt_tokens))
        total = usage.prompt_tokens + usage.completion_tokens
        return TranscriptTextDone(self.text, TokenUsage(usage.prompt_tokens, details, usage.completion_tokens, total))

    def _duration(self) -> DurationUsage:
        return DurationUsage(math.ceil(self.seconds))


class TranscriptWriter(CollectingWriter):
    """Collects the transcript and renders it once."""

    def __init__(self, render: Callable[[TranscriptCollector], bytes], *, is_json: bool) -> None:
        self.media_type = "application/json" if is_json else "text/plain"
        self._render = render
        self._transcript = TranscriptCollector()

    def collect(self, events: Sequence[Event]) -> None:
        """Add a batch of events."""
        self._transcript.add(events)

    async def finish(self) -> bytes:
        """Return the body."""
        return self._render(self._transcript)


class TranscriptEventWriter(Writer):
    """Writes an event per segment, and a last one with the whole text."""

    delivery = Delivery.SSE

    def __init__(self) -> None:
        self._transcript = TranscriptCollector()

    def write(self, events: Sequence[Event]) -> bytes:
        """Return an event for each segment."""
        deltas = [
            TranscriptTextDelta(text, event.start, event.end)
            for event in events
            if (text := self._transcript.add([event])) and isinstance(event, TranscriptSegment)
        ]
        return b"".join(sse_event(json_codec.encode(delta)) for delta in deltas)

    async def finish(self) -> bytes:
        """Return the last event and `[DONE]`."""
        return sse_event(json_codec.encode(self._transcript.to_done_event(self.usage))) + DONE


def transcription_writer(form: TranscriptionForm) -> Writer:
    """Make the writer that a transcription's form asks for."""
    if form.stream:
        return TranscriptEventWriter()
    if form.response_format == "verbose_json":
        times = form.timestamp_granularities or ("segment",)
        has_words, has_segments = "word" in times, "segment" in times
        return TranscriptWriter(
            lambda transcript: transcript.to_verbose_json("transcribe", None, words=has_words, segments=has_segments),
            is_json=True,
        )
    return _plain_writer(form.response_format)


def translation_writer(form: TranslationForm) -> Writer:
    """Make the writer that a translation's form asks for."""
    if form.response_format == "verbose_json":
        return TranscriptWriter(
            lambda transcript: transcript.to_verbose_json("translate", "english", words=False, segments=True),
            is_json=True,
        )
    return _plain_writer(form.response_format)


def _plain_writer(format: str | None) -> Writer:
    if format in (None, "json"):
        return TranscriptWriter(TranscriptCollector.to_json, is_json=True)
    renders = {
        "text": TranscriptCollector.to_text,
        "srt": TranscriptCollector.to_srt,
        "vtt": TranscriptCollector.to_vtt,
    }
    return TranscriptWriter(renders[format], is_json=False)


def _verbose(number: int, segment: TranscriptSegment) -> VerboseSegmentBody:
    values = {name: getattr(segment, name) for name in VerboseSegmentBody.__struct_fields__ if name != "id"}
    return VerboseSegmentBody(id=number, **values)


def _span(segment: TranscriptSegment, point: str) -> str:
    return f"{_clock(segment.start, point)} --> {_clock(segment.end, point)}"


def _clock(seconds: float, point: str) -> str:
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{ms:03d}"


def _plain(text: str) -> str:
    """SubRip has no escapes and reads an arrow as times."""
    return text.strip().replace("-->", "->")


def _escape_vtt(text: str) -> str:
    """WebVTT reads these as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
