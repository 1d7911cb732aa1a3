"""Speaks answers: a voice of a speech model, and a speech that speaks an answer while it is still being written.

Both run the speech model as a part of the request: under the limits of its key, and cancelled with it. Knows nothing
of chunks or JSON.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from starlette.requests import Request

from homeport.api.chat.audio_output import AudioOutput
from homeport.api.chat.joined_models import SPEAKER, resolve_joined
from homeport.api.chat.spoken_text import SpokenText, ends_sentence, is_speakable, to_speech
from homeport.api.request_context import context_of
from homeport.api.request_runner import check_request, engine_run
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import AudioChunk
from homeport.domain.speech import AudioFormat, SpeechRequest

ENDPOINT = "speech"
"""The name of these engine requests in metrics and usage."""
SAMPLES_PER_S, BYTES_PER_SAMPLE = 24_000, 2
_PAUSE = bytes(SAMPLES_PER_S * BYTES_PER_SAMPLE * 22 // 100)
"""The silence between sentences that are spoken one by one, besides that which the model adds."""
_MAX_WAITING = 64
"""The pieces of audio that wait to be sent; the model waits when there are more."""


class AnswerVoice:
    """One voice for the answer of one request. `tokens`: the tokens of the audio spoken so far."""

    def __init__(self, request: Request, output: AudioOutput, user: str | None = None) -> None:
        """Find the speech model. Raises InvalidRequest if there is none, Forbidden."""
        self.tokens = 0
        self._request = request
        self._output = output
        self._user = user
        self._resolved = resolve_joined(request, SPEAKER, "modalities")
        self._ticket = context_of(request.scope).rate_ticket.sibling()

    @property
    def format(self) -> AudioFormat:
        """The format of the whole answer."""
        return self._output.format

    async def check(self) -> None:
        """Load the model, and check that it has the voice. Raises InvalidRequest, and what refuses any request."""
        try:
            await check_request(self._request, self._resolved, SpeechRequest("", self._output.voice))
        except InvalidRequest as error:
            raise InvalidRequest(error.message, param="audio.voice", code=error.code) from error

    async def speak(self, text: str, format: AudioFormat) -> AsyncGenerator[bytes, None]:
        """Speak a text. Raises InvalidRequest if the model cannot read it."""
        engine_request = SpeechRequest(text, self._output.voice, format)
        async with engine_run(
            self._request, self._resolved, engine_request, ENDPOINT, self._user, self._ticket
        ) as engine:
            async for events in engine.events:
                engine.count(events)
                for event in events:
                    if isinstance(event, AudioChunk):
                        yield event.data
            self.tokens += engine.usage.completion_tokens
            await engine.complete()


def unspeakable(error: InvalidRequest) -> InvalidRequest:
    """Make the error for an answer that the model cannot read."""
    return InvalidRequest(f"The answer cannot be spoken. {error.message}", param="modalities", code=error.code)


class SpeechStream:
    """Speaks an answer while it is being written, as samples.

    It is opened for one answer; its end cancels what is not spoken. Text that the model cannot read is left out; an
    answer of which it can read nothing fails.
    """

    def __init__(self, voice: AnswerVoice) -> None:
        self._voice = voice
        self._text = SpokenText()
        self._has_text = asyncio.Event()
        self._audio: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(_MAX_WAITING)
        self._task: asyncio.Task[None] | None = None
        self.is_over = False

    async def __aenter__(self) -> Self:
        """Start to wait for text."""
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Cancel what is not spoken, and wait until that is done."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def tokens(self) -> int:
        """The tokens of the audio spoken so far."""
        return self._voice.tokens

    def add(self, text: str) -> None:
        """Add what was written."""
        self._text.add(text)
        self._has_text.set()

    def end(self) -> None:
        """Mark the answer as complete."""
        self._text.end()
        self._has_text.set()

    def ready(self) -> bytes:
        """Return the audio that is ready now. Raises what stopped it."""
        parts: list[bytes] = []
        while not self.is_over and not self._audio.empty():
            parts.append(self._taken(self._audio.get_nowait()))
        return b"".join(parts)

    async def rest(self) -> AsyncGenerator[bytes, None]:
        """Yield the audio that is left, while it is spoken. Raises what stopped it."""
        while not self.is_over:
            yield self._taken(await self._audio.get())

    def _taken(self, part: bytes | Exception | None) -> bytes:
        if isinstance(part, Exception):
            self.is_over = True
            raise part
        self.is_over = part is None
        return part or b""

    async def _run(self) -> None:
        """Speak all pieces; the last thing in the queue is None, or the error that stopped it."""
        end: Exception | None = None
        try:
            await self._speak_all()
        except Exception as error:
            end = error
        await self._audio.put(end)

    async def _speak_all(self) -> None:
        pause, has_spoken, refusal = b"", False, None
        while (piece := await self._next_piece()) is not None:
            text = to_speech(piece)
            if not is_speakable(text):
                continue
            try:
                async with aclosing(self._voice.speak(text, "pcm")) as audio:
                    async for data in audio:
                        await self._audio.put(pause + data)
                        pause, has_spoken = b"", True
            except InvalidRequest as error:
                refusal = error
            pause = _PAUSE if has_spoken and ends_sentence(piece) else b""
        if refusal is not None and not has_spoken:
            raise unspeakable(refusal)

    async def _next_piece(self) -> str | None:
        """Wait for the next piece of the text; None: it is over."""
        while (piece := self._text.take()) is None:
            if self._text.is_over:
                return None
            self._has_text.clear()
            await self._has_text.wait()
        return piece
