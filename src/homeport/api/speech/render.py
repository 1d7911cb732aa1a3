"""Speech as bytes of an audio file, or as events that carry them. Knows nothing of HTTP or of audio formats."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

import msgspec

from homeport.api import json_codec
from homeport.api.speech.schema import SpeechBody
from homeport.api.streaming import sse_event
from homeport.api.writer import AnswerMetadata, Delivery, Writer
from homeport.domain.events import AudioChunk, Event
from homeport.domain.speech import AudioFormat, SpeechRequest

SKIPPED_HEADER = "x-homeport-skipped"
"""Lists the characters that no voice can read, percent-encoded; absent if there are none."""
_MAX_SKIPPED_CHARS = 100
MEDIA_TYPES: dict[AudioFormat, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""`pcm`: samples at 24 kHz without a header, one channel, 16 bits, little-endian."""


class SpeechUsage(msgspec.Struct):
    """Tokens as the model counts them: phonemes in, frames of 25 ms out."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class SpeechDelta(msgspec.Struct):
    """A stream's event: more audio, as base64."""

    type: str
    audio: str


class SpeechDone(msgspec.Struct):
    """A stream's last event."""

    type: str
    usage: SpeechUsage


def speech_writer(body: SpeechBody, engine_request: SpeechRequest) -> Writer:
    """Make the writer that the body asks for: of bytes, or of events."""
    if body.stream_format == "sse":
        return SpeechEventWriter()
    return AudioByteWriter(MEDIA_TYPES[engine_request.format])


class _AudioWriter(Writer):
    """Reports the characters that are not spoken."""

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Return the header that lists the skipped characters."""
        skipped = answer.admitted.skipped[:_MAX_SKIPPED_CHARS]
        header = {SKIPPED_HEADER: quote(skipped, safe="")} if skipped else {}
        return {**super().on_admitted(answer), **header}


class AudioByteWriter(_AudioWriter):
    """Writes the audio file as it arrives."""

    delivery = Delivery.BYTES

    def __init__(self, media_type: str) -> None:
        self.media_type = media_type

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the audio of a batch of events."""
        return b"".join(_audio(events))

    async def finish(self) -> bytes:
        """Return nothing: the file is complete."""
        return b""


class SpeechEventWriter(_AudioWriter):
    """Writes an event per chunk of audio, and a last one with the usage."""

    delivery = Delivery.SSE

    def write(self, events: Sequence[Event]) -> bytes:
        """Return an event for each chunk of audio."""
        deltas = (SpeechDelta("speech.audio.delta", base64.b64encode(data).decode()) for data in _audio(events))
        return b"".join(sse_event(json_codec.encode(delta)) for delta in deltas)

    async def finish(self) -> bytes:
        """Return the last event."""
        prompt, completion = self.usage.prompt_tokens, self.usage.completion_tokens
        usage = SpeechUsage(prompt, completion, prompt + completion)
        return sse_event(json_codec.encode(SpeechDone("speech.audio.done", usage)))


def _audio(events: Iterable[Event]) -> Iterable[bytes]:
    return (event.data for event in events if isinstance(event, AudioChunk))
