"""The JSON of chat: answers, chunks that begin with a role, and logprobs as one list of objects.

Knows nothing of requests, streams or HTTP.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from homeport.api.text_generation.choices import (
    AnswerBody,
    AnswerMetadata,
    Choice,
    ChoicesCollector,
    UsageBody,
    clamp_logprob,
    render_usage,
)
from homeport.domain.events import Admitted, ScoredToken, Usage

# There is one tier of service here, whatever was asked.
TIER = "default"


class TopLogprob(msgspec.Struct, frozen=True):
    """A token that could have stood here."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(msgspec.Struct, frozen=True):
    """A token that stands here, and the likeliest ones."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChatLogprobs(msgspec.Struct, frozen=True):
    """Log-probabilities of a message's tokens."""

    content: list[TokenLogprob]
    refusal: None = None


class ChatMessage(msgspec.Struct, frozen=True):
    """What the model says."""

    content: str
    role: str = "assistant"
    refusal: None = None


class MessageDelta(msgspec.Struct, frozen=True):
    """What is new in a message. The first delta of a choice has the role, the last one nothing."""

    role: str | UnsetType = UNSET
    content: str | UnsetType = UNSET
    refusal: UnsetType | None = UNSET


class ChatChoice(msgspec.Struct, frozen=True):
    """One whole message."""

    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None
    finish_reason: str | None


class ChunkChoice(msgspec.Struct, frozen=True):
    """A piece of one message."""

    index: int
    delta: MessageDelta
    logprobs: ChatLogprobs | None
    finish_reason: str | None


class ChatCompletion(AnswerBody, frozen=True):
    """The body of an answer."""

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
    """The body of a chunk; `usage` is left out unless it was asked for."""

    id: str
    object: str
    created: int
    model: str
    service_tier: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: UsageBody | UnsetType | None = UNSET


class ChatRenderer:
    """Writes chat completions. `metadata` goes back to the caller in an answer that is not streamed."""

    def __init__(
        self,
        head: AnswerMetadata,
        _: Admitted,
        *,
        has_logprobs: bool,
        has_usage: bool,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._head = head
        self._has_logprobs = has_logprobs
        self._has_usage = has_usage
        self._metadata = metadata

    def opening(self, choice: int) -> ChatChunk:
        """Make the chunk that says who speaks."""
        return self._chunk(ChunkChoice(choice, MessageDelta("assistant", "", None), None, None))

    def delta(self, choice: int, text: str, scored: tuple[ScoredToken, ...]) -> ChatChunk:
        """Make the chunk for new text."""
        return self._chunk(ChunkChoice(choice, MessageDelta(content=text), _logprobs(scored) if scored else None, None))

    def finish(self, choice: int, reason: str) -> ChatChunk:
        """Make the last chunk of one choice."""
        return self._chunk(ChunkChoice(choice, MessageDelta(), None, reason))

    def usage(self, usage: Usage) -> ChatChunk | None:
        """Make the chunk with the usage, if it was asked for."""
        return self._render_body([], render_usage(usage)) if self._has_usage else None

    def answer(self, collected: ChoicesCollector, usage: Usage) -> ChatCompletion:
        """Make the whole answer."""
        head = self._head
        return ChatCompletion(
            id=head.id,
            object="chat.completion",
            created=head.created,
            model=head.model,
            choices=[self._render_choice(choice) for choice in collected.choices],
            usage=render_usage(usage),
            service_tier=TIER,
            system_fingerprint=head.fingerprint,
            metadata=UNSET if self._metadata is None else self._metadata,
        )

    def _render_choice(self, choice: Choice) -> ChatChoice:
        logprobs = _logprobs(choice.scored) if self._has_logprobs else None
        return ChatChoice(choice.index, ChatMessage(choice.text), logprobs, choice.reason)

    def _chunk(self, choice: ChunkChoice) -> ChatChunk:
        return self._render_body([choice], None if self._has_usage else UNSET)

    def _render_body(self, choices: list[ChunkChoice], usage: UsageBody | UnsetType | None) -> ChatChunk:
        head = self._head
        return ChatChunk(
            id=head.id,
            object="chat.completion.chunk",
            created=head.created,
            model=head.model,
            service_tier=TIER,
            system_fingerprint=head.fingerprint,
            choices=choices,
            usage=usage,
        )


def _logprobs(scored: Sequence[ScoredToken]) -> ChatLogprobs:
    return ChatLogprobs([_token(each) for each in scored])


def _token(scored: ScoredToken) -> TokenLogprob:
    top = [TopLogprob(each.token, clamp_logprob(each.logprob), list(each.bytes)) for each in scored.top]
    # Only a document's first token has no score, and a chat's answer never begins one.
    return TokenLogprob(scored.token, clamp_logprob(scored.logprob or 0.0), list(scored.bytes), top)
