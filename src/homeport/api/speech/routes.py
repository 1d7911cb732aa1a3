"""`POST /v1/audio/speech`: a text spoken, as bytes of a sound file or as events, sent while the rest is still spoken.

Knows nothing of voices or sound: it checks what can be checked without a model and passes bytes on.
"""

import base64
from collections.abc import AsyncGenerator, Iterable
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.request_body import read_json
from homeport.api.runner import (
    AdmittedRequest,
    admit,
    model_header,
    require_model_name,
)
from homeport.api.services import registry, services
from homeport.api.speech.schema import SpeechBody
from homeport.api.streaming import ByteStream, EventStream, sse_event
from homeport.domain.events import AudioChunk, Event, Usage
from homeport.domain.models import ResolvedModel
from homeport.domain.speech import AudioFormat, SpeechRequest

ENDPOINT = "speech"
SKIPPED = "x-homeport-skipped"
"""Names the characters that no voice can read, percent-encoded; absent where all were read."""
MEDIA_TYPES: dict[AudioFormat, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""`pcm`: bare samples at 24 kHz, one channel, 16 bits, little-endian."""


async def create(request: Request) -> Response:
    """Speak a text."""
    body = await read_json(request, SpeechBody)
    model = require_model_name(body.model, None)
    asked = body.to_request()
    resolved = registry(request).resolve(model, ENDPOINT)
    headers = dict(model_header(resolved))
    limits = services(request).limits
    if body.stream_format == "sse":
        source = _events(request, resolved, asked, headers)
        return EventStream(source, headers, ping_s=limits.ping_s, stall_s=limits.stall_s)
    source = _bytes(request, resolved, asked, headers)
    return ByteStream(source, headers, MEDIA_TYPES[asked.format], stall_s=limits.stall_s)


async def _bytes(
    request: Request, resolved: ResolvedModel, asked: SpeechRequest, headers: dict[str, str]
) -> AsyncGenerator[bytes, None]:
    """Give the sound as it comes; first, when the request is admitted, nothing."""
    async with admit(request, resolved, asked, ENDPOINT) as under_way:
        _set_skipped_header(under_way, headers)
        yield b""
        async for batch in under_way:
            if sound := b"".join(_sound(batch)):
                yield sound


async def _events(
    request: Request, resolved: ResolvedModel, asked: SpeechRequest, headers: dict[str, str]
) -> AsyncGenerator[bytes, None]:
    """Give the sound in events, and at the end one with the usage."""
    async with admit(request, resolved, asked, ENDPOINT) as under_way:
        _set_skipped_header(under_way, headers)
        yield b""
        async for batch in under_way:
            for sound in _sound(batch):
                told = {"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode()}
                yield sse_event(json_codec.encode(told))
        yield sse_event(json_codec.encode({"type": "speech.audio.done", "usage": _usage(under_way.usage)}))


def _set_skipped_header(under_way: AdmittedRequest, headers: dict[str, str]) -> None:
    """Say in a header what is not spoken."""
    if under_way.admitted.skipped:
        headers[SKIPPED] = quote(under_way.admitted.skipped[:100], safe="")


def _sound(batch: Iterable[Event]) -> Iterable[bytes]:
    return (each.data for each in batch if isinstance(each, AudioChunk))


def _usage(usage: Usage) -> dict[str, int]:
    """Tokens as the model counts them: phonemes in, frames of 25 ms out."""
    total = usage.prompt_tokens + usage.completion_tokens
    return {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens, "total_tokens": total}
