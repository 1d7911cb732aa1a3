"""Writers of spoken chats: a stream of transcript and audio, or one body. Both end when all of the answer is spoken.

While the text model writes, `write` also sends what the speech model has spoken by then; what is left is the work
after the text. Knows nothing of HTTP, and nothing of admission and accounting.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial

from homeport.api.chat.call_render import call_renderer
from homeport.api.chat.render import AnswerAudio
from homeport.api.chat.schema import ChatBody
from homeport.api.chat.speech_stream import AnswerVoice, SpeechStream, unspeakable
from homeport.api.chat.spoken_render import SpokenAnswer, SpokenRenderer, to_base64
from homeport.api.chat.spoken_text import is_speakable, to_speech
from homeport.api.request_context import RequestContext
from homeport.api.text_generation.choices import ChoicesCollector
from homeport.api.text_generation.render import AudioTokens
from homeport.api.text_generation.writers import StoreAnswer, TextAnswerWriter, TextStreamWriter
from homeport.api.writer import AnswerMetadata
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import ChoiceFinished, Event, TextDelta

KeepTranscript = Callable[[SpokenAnswer, str], Awaitable[None]]
"""Keeps the transcript of a spoken answer under its id."""

_ALIGNMENT = 6
"""Bytes of whole samples that are base64 without padding: clients may join the base64 of several chunks."""

MakeRenderer = Callable[[AnswerMetadata], SpokenRenderer]


def spoken_renderer(body: ChatBody, spoken: SpokenAnswer, heard: AudioTokens) -> MakeRenderer:
    """Return what makes the renderer of a spoken answer. `heard`: the tokens of the recordings of the request."""
    return partial(
        SpokenRenderer,
        spoken,
        has_usage=body.has_usage,
        metadata=body.metadata,
        calls=call_renderer(body),
        heard=heard,
    )


class SpokenAnswerWriter(TextAnswerWriter):
    """Collects the answer, has it spoken, and writes one body."""

    def __init__(
        self,
        renderer: MakeRenderer,
        context: RequestContext,
        spoken: SpokenAnswer,
        voice: AnswerVoice,
        keep: KeepTranscript,
        *,
        store: StoreAnswer | None = None,
    ) -> None:
        super().__init__(renderer, context, store=store)
        self._spoken = spoken
        self._voice = voice
        self._keep = keep
        self._is_spoken = False

    @property
    def has_work(self) -> bool:
        """Whether the text is complete and not spoken yet."""
        return not self._is_spoken and any(choice.reason is not None for choice in self._collector.choices)

    async def work(self) -> AsyncGenerator[bytes, None]:
        """Speak the text. Nothing is sent meanwhile."""
        self._is_spoken = True
        text = to_speech(_text(self._collector))
        if is_speakable(text):
            try:
                async with aclosing(self._voice.speak(text, self._voice.format)) as audio:
                    async for data in audio:
                        self._spoken.audio += data
                        yield b""
            except InvalidRequest as error:
                raise unspeakable(error) from error
        self._spoken.tokens = self._voice.tokens

    async def finish(self) -> bytes:
        """Keep the transcript, then store and return the body."""
        if text := _text(self._collector):
            await self._keep(self._spoken, text)
        return await super().finish()


class SpokenStreamWriter(TextStreamWriter):
    """Writes the transcript and the audio as they arrive. `store` stores the whole answer, audio included."""

    def __init__(
        self,
        renderer: MakeRenderer,
        context: RequestContext,
        spoken: SpokenAnswer,
        speech: SpeechStream,
        keep: KeepTranscript,
        *,
        is_padded: bool = False,
        store: StoreAnswer | None = None,
    ) -> None:
        super().__init__(self._keep_renderer, context, is_padded=is_padded, store=store)
        self._make_spoken_renderer = renderer
        self._spoken = spoken
        self._speech = speech
        self._keep = keep
        self._transcript: list[str] = []
        self._unsent = b""
        self._end: ChoiceFinished | None = None

    @property
    def has_work(self) -> bool:
        """Whether the text is complete, and not all of it is spoken."""
        return self._end is not None and not self._speech.is_over

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the frames of a batch of events, and of the audio that is ready."""
        frames: list[bytes] = []
        for event in events:
            if isinstance(event, ChoiceFinished):
                self._end = event
                self._speech.end()
                continue
            if isinstance(event, TextDelta) and event.text:
                self._speak(event, frames)
            frames.append(super().write((event,)))
        self._send(self._speech.ready(), frames)
        return b"".join(frames)

    async def work(self) -> AsyncGenerator[bytes, None]:
        """Yield the frames of the audio that is left."""
        async with aclosing(self._speech.rest()) as rest:
            async for data in rest:
                frames: list[bytes] = []
                self._send(data, frames)
                yield b"".join(frames)

    async def finish(self) -> bytes:
        """Keep the transcript; return the end of the audio, of the choice, and of the stream."""
        self._spoken.tokens = self._speech.tokens
        frames: list[bytes] = []
        if self._transcript:
            await self._keep(self._spoken, "".join(self._transcript))
            self._send(b"", frames, is_last=True)
            self._add(AnswerAudio(expires_at=self._spoken.expires_at), frames)
        if self._end is not None:
            frames.append(super().write((self._end,)))
        return b"".join(frames) + await super().finish()

    def _keep_renderer(self, answer: AnswerMetadata) -> SpokenRenderer:
        self._spoken_renderer = self._make_spoken_renderer(answer)
        return self._spoken_renderer

    def _speak(self, delta: TextDelta, frames: list[bytes]) -> None:
        """Have new text spoken; the first one is preceded by the id of the audio."""
        if not self._transcript:
            if delta.choice not in self._templates:
                self._open(delta.choice, frames, has_text=True)
            self._add(AnswerAudio(id=self._spoken.id, transcript=""), frames)
        self._transcript.append(delta.text)
        self._speech.add(delta.text)

    def _send(self, data: bytes, frames: list[bytes], *, is_last: bool = False) -> None:
        """Add the frame of audio; what does not fill whole base64 characters waits for more."""
        self._unsent += data
        size = len(self._unsent) if is_last else len(self._unsent) - len(self._unsent) % _ALIGNMENT
        if size == 0:
            return
        ready, self._unsent = self._unsent[:size], self._unsent[size:]
        if self._store:
            self._spoken.audio += ready
        self._add(AnswerAudio(data=to_base64(ready)), frames)

    def _add(self, audio: AnswerAudio, frames: list[bytes]) -> None:
        frames.append(self._frame(self._spoken_renderer.audio(0, audio)))


def _text(collector: ChoicesCollector) -> str:
    return "".join(choice.text for choice in collector.choices)
