"""The JSON of messages: their blocks, their usage, and the events of a stream. Knows nothing of engines or HTTP."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from homeport.domain.events import Usage


class TextBlock(msgspec.Struct, frozen=True, tag="text"):
    """Text."""

    text: str
    citations: None = None


class ThinkingBlock(msgspec.Struct, frozen=True, tag="thinking"):
    """What the model wrote before its answer. `signature` holds it, too."""

    thinking: str
    signature: str


class ToolUseBlock(msgspec.Struct, frozen=True, tag="tool_use"):
    """A call of a tool. `input`: a JSON object."""

    id: str
    name: str
    input: msgspec.Raw


Block = TextBlock | ThinkingBlock | ToolUseBlock


class OutputDetails(msgspec.Struct, frozen=True):
    """The kinds of the generated tokens."""

    thinking_tokens: int


class MessageUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What a message cost. The prompt's tokens are the sum of all three kinds of `input_tokens`.

    No token is only written to a cache: all are kept as long as there is room.
    """

    input_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: OutputDetails
    service_tier: Literal["standard"] = "standard"


class MessageObject(msgspec.Struct, frozen=True, kw_only=True):
    """A message, as far as it is complete. `limited_by`: an extension, the limit of the key that ended it."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: tuple[Block, ...] = ()
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: MessageUsage
    limited_by: str | UnsetType = UNSET


class StopDelta(msgspec.Struct, frozen=True):
    """Why a message ended."""

    stop_reason: str
    stop_sequence: str | None


class MessageStart(msgspec.Struct, frozen=True, tag="message_start"):
    """The first event of a stream."""

    message: MessageObject


class BlockStart(msgspec.Struct, frozen=True, tag="content_block_start"):
    """A block begins: without its text, or its input."""

    index: int
    content_block: Block


class BlockStop(msgspec.Struct, frozen=True, tag="content_block_stop"):
    """A block is complete."""

    index: int


class MessageDelta(msgspec.Struct, frozen=True, kw_only=True, tag="message_delta"):
    """The message is complete. `limited_by` as in `MessageObject`."""

    delta: StopDelta
    usage: MessageUsage
    limited_by: str | UnsetType = UNSET


class MessageStop(msgspec.Struct, frozen=True, tag="message_stop"):
    """The last event of a stream."""


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Keeps a connection alive."""


StreamEvent = MessageStart | BlockStart | BlockStop | MessageDelta | MessageStop | Ping


def render_usage(usage: Usage) -> MessageUsage:
    """Render what a message cost."""
    return MessageUsage(
        input_tokens=usage.prompt_tokens - usage.cached_tokens,
        cache_read_input_tokens=usage.cached_tokens,
        output_tokens=usage.completion_tokens,
        output_tokens_details=OutputDetails(usage.reasoning_tokens),
    )
