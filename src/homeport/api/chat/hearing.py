"""Recordings of a chat that its model does not hear: a transcription model's text takes the place of each.

Chooses which model hears, and runs the transcription model as a part of the request. Knows nothing of how recordings
are sent or answers are made.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from starlette.requests import Request

from homeport.api.chat.joined_models import HEARS, TRANSCRIBER, resolve_joined
from homeport.api.chat.transcript_cache import CachedTranscript, RecordingKey
from homeport.api.request_runner import engine_run
from homeport.api.services import caller, registry, services
from homeport.api.text_generation.render import NO_AUDIO_TOKENS, AudioTokens
from homeport.domain.content import AudioPart, Message, Part, TextPart
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import TranscriptSegment
from homeport.domain.models import ResolvedModel
from homeport.domain.text import ChatPrompt, TextRequest
from homeport.domain.transcription import TranscriptionRequest

MAX_SECONDS = 30 * 60.0
"""The maximum length of all recordings of a request together."""
ENDPOINT = "transcribe"
"""The name of these engine requests in metrics and usage."""
POSITIONS_PER_S = 50
"""The tokens of a second of audio, as transcription models count them."""


class HeardRequest(NamedTuple):
    """An engine request without recordings. `tokens`: those of the recordings whose texts it has."""

    request: TextRequest
    tokens: AudioTokens = NO_AUDIO_TOKENS


def choose_transcriber(request: Request, resolved: ResolvedModel, audio_input: str | None) -> ResolvedModel | None:
    """Return the model that transcribes the recordings of a request; None: its own model hears them.

    Raises InvalidRequest that says how a model that does not hear can be used, ModelNotFound and Forbidden.
    """
    if audio_input is not None:
        return resolve_joined(request, TRANSCRIBER, "audio_input")
    model = resolved.served_model.facts
    if HEARS in model.capabilities:
        return None
    others = [each.facts.name for each in registry(request).models() if HEARS in each.facts.capabilities]
    instead = f", or use `{others[0]}`, which hears" if others else ""
    raise InvalidRequest(
        f'The model `{model.name}` does not hear. Send "audio_input": "transcribe" to have the text of each recording '
        f"put in its place by the model that `{TRANSCRIBER.name}` stands for{instead}.",
        param="messages",
        code="unsupported_content_type",
    )


async def hear(
    request: Request, engine_request: TextRequest, transcriber: ResolvedModel, user: str | None = None
) -> HeardRequest:
    """Return the request with the text of each recording in its place. A recording without speech has an empty text.

    A recording that the project sent before is not transcribed again. Raises InvalidRequest naming a recording that
    cannot be read, or with which all are too long; and what refuses the transcription.
    """
    [prompt], cache = engine_request.prompts, services(request).transcript_cache
    if not isinstance(prompt, ChatPrompt):
        return HeardRequest(engine_request)
    tokens, texts = NO_AUDIO_TOKENS, list[str]()
    for part in _recordings(prompt.messages):
        max_seconds = MAX_SECONDS - tokens.heard / POSITIONS_PER_S
        if max_seconds <= 0:
            raise InvalidRequest(
                f"The recordings are longer than {MAX_SECONDS / 60:.0f} minutes together, which is the limit.",
                param=f"{part.param}.input_audio",
            )
        key = await _key(request, part, transcriber)
        known = cache.find(key)
        transcript = known or await _transcribe(request, part, transcriber, max_seconds, user)
        cache.add(key, transcript)
        texts.append(transcript.text)
        tokens = AudioTokens(tokens.heard + transcript.tokens, cached=tokens.cached + (known.tokens if known else 0))
    rest = iter(texts)
    messages = tuple(_with_texts(message, rest) for message in prompt.messages)
    prompt = msgspec.structs.replace(prompt, messages=messages)
    return HeardRequest(msgspec.structs.replace(engine_request, prompts=(prompt,)), tokens)


async def _key(request: Request, part: AudioPart, transcriber: ResolvedModel) -> RecordingKey:
    """Return the name of a recording in the cache."""

    def hash_file() -> bytes:
        with part.audio.local_path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    return RecordingKey(caller(request).project, transcriber.model.digest, await asyncio.to_thread(hash_file))


async def _transcribe(
    request: Request, part: AudioPart, transcriber: ResolvedModel, max_seconds: float, user: str | None
) -> CachedTranscript:
    """Transcribe a recording."""
    engine_request = TranscriptionRequest(part.audio, script="simplified", max_seconds=max_seconds)
    segments: list[str] = []
    try:
        async with engine_run(request, transcriber, engine_request, ENDPOINT, user) as engine:
            async for events in engine.events:
                engine.count(events)
                segments += [event.text for event in events if isinstance(event, TranscriptSegment)]
            await engine.complete()
            return CachedTranscript("".join(segments).strip(), engine.usage.prompt_tokens)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=f"{part.param}.input_audio", code=error.code) from error


def _recordings(messages: Sequence[Message]) -> Iterator[AudioPart]:
    return (part for message in messages for part in message.parts if isinstance(part, AudioPart))


def _with_texts(message: Message, texts: Iterator[str]) -> Message:
    parts: tuple[Part, ...] = tuple(
        TextPart(next(texts)) if isinstance(part, AudioPart) else part for part in message.parts
    )
    return msgspec.structs.replace(message, parts=parts)
