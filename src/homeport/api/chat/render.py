"""The JSON of chat: answers, chunks that begin with a role, and logprobs as one list of objects.

Knows nothing of HTTP.
"""

import uuid
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from msgspec import UNSET, UnsetType

from homeport.api.chat.call_render import CalledFunction, CallFields, CallRenderer, ToolCallBody, call_renderer
from homeport.api.chat.schema import ChatBody
from homeport.api.request_context import RequestContext
from homeport.api.text_generation.choices import Choice
from homeport.api.text_generation.render import NO_AUDIO_TOKENS, AnswerBody, AudioTokens, UsageBody, render_usage
from homeport.api.text_generation.token_logprobs import TokenLogprob, to_token_logprobs
from homeport.api.text_generation.writers import StoreAnswer, TextAnswerWriter, TextStreamWriter
from homeport.api.writer import AnswerMetadata, Writer
from homeport.domain.events import ScoredToken, Usage

TIER = "default"
"""The only tier of service, whichever the caller asks for."""


class ChatLogprobs(msgspec.Struct, frozen=True):
    """Log-probabilities of a message's tokens; null if it has no content."""

    content: list[TokenLogprob] | None
    refusal: None = None


class AnswerAudio(msgspec.Struct, frozen=True, kw_only=True):
    """A spoken answer, or the new part of one. `data`: base64; `expires_at`: until when its id can be sent, in Unix
    seconds.
    """

    id: str | UnsetType = UNSET
    data: str | UnsetType = UNSET
    expires_at: int | UnsetType = UNSET
    transcript: str | UnsetType = UNSET


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The model's message. `content` is null beside calls or reasoning if there is no text, and beside `audio`."""

    content: str | None
    role: str = "assistant"
    refusal: None = None
    audio: AnswerAudio | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    tool_calls: list[ToolCallBody] | UnsetType = UNSET
    function_call: CalledFunction | UnsetType = UNSET


class MessageDelta(msgspec.Struct, frozen=True, kw_only=True):
    """The new part of a message. The first delta of a choice has the role, the last one is empty."""

    role: str | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    refusal: UnsetType | None = UNSET
    audio: AnswerAudio | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    tool_calls: list[ToolCallBody] | UnsetType = UNSET
    function_call: CalledFunction | UnsetType = UNSET


class ChatChoice(msgspec.Struct, frozen=True):
    """One complete message."""

    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None
    finish_reason: str | None


class ChunkChoice(msgspec.Struct, frozen=True):
    """A part of one message."""

    index: int
    delta: MessageDelta
    logprobs: ChatLogprobs | None
    finish_reason: str | None


class ChatCompletion(AnswerBody, frozen=True):
    """The body of a whole answer."""

    id: str
    object: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageBody
    service_tier: str
    system_fingerprint: str
    metadata: Mapping[str, str] | UnsetType = UNSET


class ChatChunk(AnswerBody, frozen=True):
    """The body of a chunk; it has `usage` only if the caller asked for it."""

    id: str
    object: str
    created: int
    model: str
    service_tier: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: UsageBody | UnsetType | None = UNSET


def chat_writer(
    body: ChatBody, context: RequestContext, store: StoreAnswer | None = None, heard: AudioTokens = NO_AUDIO_TOKENS
) -> Writer:
    """Make the writer that the body asks for: of one answer, or of a stream of chunks. `store` stores the answer.

    `heard`: the tokens of the recordings that another model transcribed.
    """
    renderer = partial(
        ChatRenderer,
        has_logprobs=bool(body.logprobs),
        has_usage=body.has_usage,
        metadata=body.metadata,
        calls=call_renderer(body),
        heard=heard,
    )
    if body.stream:
        return TextStreamWriter(renderer, context, is_padded=body.is_padded, store=store)
    return TextAnswerWriter(renderer, context, store=store)


class ChatRenderer:
    """Renders chat completions. A whole answer returns the caller's `metadata`; `calls` renders the tool calls.

    `heard`: the tokens of the recordings that another model transcribed.
    """

    def __init__(
        self,
        answer: AnswerMetadata,
        *,
        has_logprobs: bool,
        has_usage: bool,
        metadata: Mapping[str, str] | None = None,
        calls: CallRenderer | None = None,
        heard: AudioTokens = NO_AUDIO_TOKENS,
    ) -> None:
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._answer = answer
        self._has_logprobs = has_logprobs
        self._has_usage = has_usage
        self._metadata = metadata
        self._calls = calls or CallRenderer()
        self._heard = heard

    def opening(self, choice: int, *, has_text: bool) -> ChatChunk:
        """Make the chunk with the role."""
        delta = MessageDelta(role="assistant", content="" if has_text else None, refusal=None)
        return self._chunk(ChunkChoice(choice, delta, None, None))

    def delta(self, choice: int, text: str, scored: tuple[ScoredToken, ...]) -> ChatChunk:
        """Make the chunk for new text."""
        return self._chunk(ChunkChoice(choice, MessageDelta(content=text), _logprobs(scored) if scored else None, None))

    def reasoning(self, choice: int, text: str) -> ChatChunk:
        """Make the chunk for new reasoning, under both of its names."""
        return self._chunk(ChunkChoice(choice, MessageDelta(reasoning_content=text, reasoning=text), None, None))

    def call(self, choice: int, index: int, call_id: str, name: str) -> ChatChunk | None:
        """Make the chunk that begins a tool call; None if it is omitted."""
        return self._call_chunk(choice, self._calls.begin(choice, index, call_id, name))

    def arguments(self, choice: int, index: int, text: str) -> ChatChunk | None:
        """Make the chunk for more arguments of the call; None if it is omitted."""
        return self._call_chunk(choice, self._calls.arguments(choice, index, text))

    def finish(self, choice: int, reason: str) -> ChatChunk:
        """Make the last chunk of one choice."""
        return self._chunk(ChunkChoice(choice, MessageDelta(), None, self._calls.reason(reason)))

    def usage(self, usage: Usage) -> ChatChunk | None:
        """Make the chunk with the usage, if the caller asked for it."""
        return self._render_body([], self._render_usage(usage)) if self._has_usage else None

    def answer(self, choices: Sequence[Choice], usage: Usage) -> ChatCompletion:
        """Make the whole answer."""
        return ChatCompletion(
            id=self._id,
            object="chat.completion",
            created=self._answer.created,
            model=self._answer.model,
            choices=[self._render_choice(choice) for choice in choices],
            usage=self._render_usage(usage),
            service_tier=TIER,
            system_fingerprint=self._answer.fingerprint,
            metadata=UNSET if self._metadata is None else self._metadata,
        )

    def _render_usage(self, usage: Usage) -> UsageBody:
        return render_usage(usage, self._heard)

    def _render_choice(self, choice: Choice) -> ChatChoice:
        calls = self._calls.whole(choice.calls)
        thought = choice.reasoning or UNSET
        has_content = bool(choice.text or not (choice.calls or choice.reasoning))
        message = ChatMessage(
            content=choice.text if has_content else None,
            reasoning_content=thought,
            reasoning=thought,
            tool_calls=calls.tool_calls,
            function_call=calls.function_call,
        )
        logprobs = None
        if self._has_logprobs:
            logprobs = _logprobs(choice.scored) if has_content or choice.scored else ChatLogprobs(None)
        reason = None if choice.reason is None else self._calls.reason(choice.reason)
        return ChatChoice(choice.index, message, logprobs, reason)

    def _call_chunk(self, choice: int, calls: CallFields | None) -> ChatChunk | None:
        if calls is None:
            return None
        delta = MessageDelta(tool_calls=calls.tool_calls, function_call=calls.function_call)
        return self._chunk(ChunkChoice(choice, delta, None, None))

    def _chunk(self, choice: ChunkChoice) -> ChatChunk:
        return self._render_body([choice], None if self._has_usage else UNSET)

    def _render_body(self, choices: list[ChunkChoice], usage: UsageBody | UnsetType | None) -> ChatChunk:
        return ChatChunk(
            id=self._id,
            object="chat.completion.chunk",
            created=self._answer.created,
            model=self._answer.model,
            service_tier=TIER,
            system_fingerprint=self._answer.fingerprint,
            choices=choices,
            usage=usage,
        )


def _logprobs(scored: Sequence[ScoredToken]) -> ChatLogprobs:
    return ChatLogprobs(to_token_logprobs(scored))
