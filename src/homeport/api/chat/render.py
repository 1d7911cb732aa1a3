"""The JSON of chat: answers, chunks that begin with a role, and logprobs as one list of objects.

Knows nothing of HTTP.
"""

import uuid
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from msgspec import UNSET, UnsetType

from homeport.api.chat.schema import ChatBody
from homeport.api.request_context import RequestContext
from homeport.api.text_generation.choices import Choice
from homeport.api.text_generation.render import AnswerBody, UsageBody, clamp_logprob, render_usage
from homeport.api.text_generation.writers import TextAnswerWriter, TextStreamWriter
from homeport.api.writer import AnswerMetadata, Writer
from homeport.domain.events import ScoredToken, Usage

TIER = "default"
"""The only tier of service, whichever the caller asks for."""


class TopLogprob(msgspec.Struct, frozen=True):
    """A token that could have been generated here."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(msgspec.Struct, frozen=True):
    """A generated token, and the likeliest ones."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChatLogprobs(msgspec.Struct, frozen=True):
    """Log-probabilities of a message's tokens."""

    content: list[TokenLogprob]
    refusal: None = None


class ChatMessage(msgspec.Struct, frozen=True):
    """The model's message."""

    content: str
    role: str = "assistant"
    refusal: None = None


class MessageDelta(msgspec.Struct, frozen=True):
    """The new part of a message. The first delta of a choice has the role, the last one is empty."""

    role: str | UnsetType = UNSET
    content: str | UnsetType = UNSET
    refusal: UnsetType | None = UNSET


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


def chat_writer(body: ChatBody, context: RequestContext) -> Writer:
    """Make the writer that the body asks for: of one answer, or of a stream of chunks."""
    renderer = partial(ChatRenderer, has_logprobs=bool(body.logprobs), has_usage=body.has_usage, metadata=body.metadata)
    if body.stream:
        return TextStreamWriter(renderer, context, is_padded=body.is_padded)
    return TextAnswerWriter(renderer, context)


class ChatRenderer:
    """Renders chat completions. A whole answer returns the caller's `metadata`."""

    def __init__(
        self,
        answer: AnswerMetadata,
        *,
        has_logprobs: bool,
        has_usage: bool,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._answer = answer
        self._has_logprobs = has_logprobs
        self._has_usage = has_usage
        self._metadata = metadata

    def opening(self, choice: int) -> ChatChunk:
        """Make the chunk with the role."""
        return self._chunk(ChunkChoice(choice, MessageDelta("assistant", "", None), None, None))

    def delta(self, choice: int, text: str, scored: tuple[ScoredToken, ...]) -> ChatChunk:
        """Make the chunk for new text."""
        return self._chunk(ChunkChoice(choice, MessageDelta(content=text), _logprobs(scored) if scored else None, None))

    def finish(self, choice: int, reason: str) -> ChatChunk:
        """Make the last chunk of one choice."""
        return self._chunk(ChunkChoice(choice, MessageDelta(), None, reason))

    def usage(self, usage: Usage) -> ChatChunk | None:
        """Make the chunk with the usage, if the caller asked for it."""
        return self._render_body([], render_usage(usage)) if self._has_usage else None

    def answer(self, choices: Sequence[Choice], usage: Usage) -> ChatCompletion:
        """Make the whole answer."""
        return ChatCompletion(
            id=self._id,
            object="chat.completion",
            created=self._answer.created,
            model=self._answer.model,
            choices=[self._render_choice(choice) for choice in choices],
            usage=render_usage(usage),
            service_tier=TIER,
            system_fingerprint=self._answer.fingerprint,
            metadata=UNSET if self._metadata is None else self._metadata,
        )

    def _render_choice(self, choice: Choice) -> ChatChoice:
        logprobs = _logprobs(choice.scored) if self._has_logprobs else None
        return ChatChoice(choice.index, ChatMessage(choice.text), logprobs, choice.reason)

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
    return ChatLogprobs([_token(each) for each in scored])


def _token(scored: ScoredToken) -> TokenLogprob:
    top = [TopLogprob(each.token, clamp_logprob(each.logprob), list(each.bytes)) for each in scored.top]
    # Only the first token of a document has no score, and a chat's answer never begins a document.
    return TokenLogprob(scored.token, clamp_logprob(scored.logprob or 0.0), list(scored.bytes), top)
