"""A chat that hears or speaks: what joins its model with one that transcribes and one that speaks.

Everything that can be refused is refused before the text model begins: first what needs no model, then the voice, then
the recordings. Knows nothing of chunks, of text, or of audio.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request

from homeport.api.chat import hearing
from homeport.api.chat.audio_output import is_spoken, to_audio_output
from homeport.api.chat.convert import to_request
from homeport.api.chat.recordings import AudioHistory, find_recordings, save_recordings, unknown_ids
from homeport.api.chat.render import chat_writer
from homeport.api.chat.schema import ChatBody
from homeport.api.chat.speech_stream import AnswerVoice, SpeechStream
from homeport.api.chat.spoken_render import KEEP_S, SpokenAnswer
from homeport.api.chat.spoken_writers import KeepTranscript, SpokenAnswerWriter, SpokenStreamWriter, spoken_renderer
from homeport.api.forms import spool_folder
from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.request_body import run_in_thread_if_large
from homeport.api.request_context import context_of
from homeport.api.services import caller, services
from homeport.api.streaming import run_until_disconnect
from homeport.api.text_generation.render import AudioTokens
from homeport.api.text_generation.writers import StoreAnswer
from homeport.api.writer import Writer
from homeport.domain.models import ResolvedModel
from homeport.domain.text import TextRequest


class AudioChat(NamedTuple):
    """A chat that is ready to run: its engine request, and the writer of its answer."""

    engine_request: TextRequest
    writer: Writer


def has_audio(body: ChatBody) -> bool:
    """Return whether a chat hears or speaks, or continues one that did."""
    return (
        is_spoken(body)
        or any(message.audio is not None for message in body.messages)
        or any(
            part.type == "input_audio"
            for message in body.messages
            if isinstance(message.content, list)
            for part in message.content
        )
    )


@asynccontextmanager
async def prepare_audio_chat(
    request: Request, body: ChatBody, resolved: ResolvedModel, images: ImageInputs, store: StoreAnswer | None
) -> AsyncIterator[AudioChat]:
    """Check the chat, and have its recordings transcribed. The end of the context ends all that the answer needs.

    `images`: registers the messages' images.

    Raises InvalidRequest naming the field, what refuses the work of any of its models, and ClientDisconnected.
    """
    user = body.safety_identifier or body.user
    recordings = find_recordings(body.messages)
    transcriber = hearing.choose_transcriber(request, resolved, body.audio_input) if recordings else None
    async with AsyncExitStack() as stack:
        files: Mapping[str, Path] = {}
        if recordings:
            folder = await stack.enter_async_context(spool_folder(request))
            files = await asyncio.to_thread(save_recordings, recordings, folder)
        audio = AudioHistory(files, await _find_transcripts(request, body))
        await stack.enter_async_context(images)
        engine_request = await _to_request(request, body, resolved, images, audio)
        await images.save()
        voice = AnswerVoice(request, to_audio_output(body), user) if is_spoken(body) else None

        async def join() -> hearing.HeardRequest:
            if voice is not None:
                await voice.check()
            if transcriber is None:
                return hearing.HeardRequest(engine_request)
            return await hearing.hear(request, engine_request, transcriber, user)

        heard = await run_until_disconnect(request.receive, join())
        if voice is None:
            writer = chat_writer(body, context_of(request.scope), store, heard.tokens)
        else:
            writer = await _spoken_writer(request, body, voice, heard.tokens, store, stack)
        yield AudioChat(heard.request, writer)


async def _to_request(
    request: Request, body: ChatBody, resolved: ResolvedModel, images: ImageInputs, audio: AudioHistory
) -> TextRequest:
    context, default_tokens = context_of(request.scope), services(request).limits.answer_tokens
    return await run_in_thread_if_large(request, to_request, body, resolved, context, images, default_tokens, audio)


async def _find_transcripts(request: Request, body: ChatBody) -> Mapping[str, str]:
    """Return the transcripts of the spoken answers that the messages only name."""
    ids, transcripts = unknown_ids(body.messages), services(request).transcripts
    if not ids or transcripts is None:
        return {}
    return await asyncio.to_thread(transcripts.find, caller(request).project, ids)


async def _spoken_writer(
    request: Request,
    body: ChatBody,
    voice: AnswerVoice,
    heard: AudioTokens,
    store: StoreAnswer | None,
    stack: AsyncExitStack,
) -> Writer:
    """Make the writer of a spoken answer. `stack` ends what speaks while the text is being written."""
    context, keep = context_of(request.scope), _keeper(request)
    spoken = SpokenAnswer(voice.format, int(services(request).now()) + KEEP_S)
    renderer = spoken_renderer(body, spoken, heard)
    if not body.stream:
        return SpokenAnswerWriter(renderer, context, spoken, voice, keep, store=store)
    speech = await stack.enter_async_context(SpeechStream(voice))
    return SpokenStreamWriter(renderer, context, spoken, speech, keep, is_padded=body.is_padded, store=store)


def _keeper(request: Request) -> KeepTranscript:
    """Return what keeps the transcript of an answer, for as long as its id can be sent."""
    transcripts, project = services(request).transcripts, caller(request).project

    async def keep(spoken: SpokenAnswer, transcript: str) -> None:
        if transcripts is not None:
            await asyncio.to_thread(transcripts.add, project, spoken.id, transcript, spoken.expires_at)

    return keep
