"""Writers of messages: one body, or a stream of named events, both from the same blocks.

Knows nothing of HTTP. Deltas are spliced into a frame that is encoded once per block.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from homeport.api import json_codec
from homeport.api.messages.errors import error_body
from homeport.api.messages.output import MessageOutput, OpenBlock, OutputRules, open_block
from homeport.api.messages.render import (
    BlockStart,
    BlockStop,
    MessageDelta,
    MessageObject,
    MessageStart,
    MessageStop,
    Ping,
    StopDelta,
    StreamEvent,
    render_usage,
)
from homeport.api.request_context import RequestContext
from homeport.api.streaming import escape_line_ends
from homeport.api.text_generation.render import with_limit
from homeport.api.text_generation.writers import changes_header
from homeport.api.writer import AnswerMetadata, CollectingWriter, Delivery, Writer
from homeport.domain.errors import HomeportError
from homeport.domain.events import Event, Usage

_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}
"""The type of a delta and the field of its text, by the kind of its block."""


class MessagePlan(NamedTuple):
    """What a message's writer needs of its request."""

    max_tokens: int
    rules: OutputRules


def message_writer(plan: MessagePlan, context: RequestContext, *, is_streamed: bool) -> Writer:
    """Make the writer of a message, or of its stream."""
    return MessageStreamWriter(plan, context) if is_streamed else MessageAnswerWriter(plan, context)


def named_event(name: str, document: bytes) -> bytes:
    """Return an event of a stream with an encoded JSON document."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), escape_line_ends(document))


def frame(event: StreamEvent) -> bytes:
    """Return an event of a stream, which is named by its type."""
    return named_event(str(event.__struct_config__.tag), json_codec.encode(event))


class MessageAnswerWriter(CollectingWriter):
    """Collects a message and writes one body."""

    def __init__(self, plan: MessagePlan, context: RequestContext) -> None:
        self._plan = plan
        self._context = context
        self._output = MessageOutput(plan.rules)

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Return the header that lists the changes to the conversation."""
        return {**super().on_admitted(answer), **changes_header(answer)}

    def collect(self, events: Sequence[Event]) -> None:
        """Collect the blocks."""
        self._output.add(events)

    async def finish(self) -> bytes:
        """Return the body."""
        reason, sequence = self._output.stop_reason(self.usage, self._plan.max_tokens)
        body = msgspec.structs.replace(
            _start(self.answer, self.usage),
            content=self._output.blocks,
            stop_reason=reason,
            stop_sequence=sequence,
        )
        return json_codec.encode(with_limit(body, self._context.limited_by))


class MessageStreamWriter(Writer):
    """Writes the events of a message."""

    delivery = Delivery.SSE
    ping = frame(Ping())

    def __init__(self, plan: MessagePlan, context: RequestContext) -> None:
        self._plan = plan
        self._context = context
        self._pieces: list[bytes] = []
        self._output = MessageOutput(plan.rules, _BlockFrames(self._pieces, plan.rules))

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Return the header that lists the changes to the conversation."""
        return {**super().on_admitted(answer), **changes_header(answer)}

    def opening(self) -> bytes:
        """Return the events with which the message begins."""
        start = _start(self.answer, Usage(self.answer.admitted.prompt_tokens))
        return frame(MessageStart(start)) + self.ping

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the frames of a batch of events."""
        self._output.add(events)
        written = b"".join(self._pieces)
        self._pieces.clear()
        return written

    async def finish(self) -> bytes:
        """Return the events that end the message."""
        reason, sequence = self._output.stop_reason(self.usage, self._plan.max_tokens)
        delta = MessageDelta(delta=StopDelta(reason, sequence), usage=render_usage(self.usage))
        limited_by = self._context.limited_by if self._output.is_cut else ""
        return frame(with_limit(delta, limited_by)) + frame(MessageStop())

    async def render_error(self, error: HomeportError) -> bytes:
        """Return the event of an error."""
        return named_event("error", error_body(error, self._context.id))


class _BlockFrames:
    """Appends the frames of blocks to `pieces`. Implements `OutputListener`."""

    def __init__(self, pieces: list[bytes], rules: OutputRules) -> None:
        self._pieces = pieces
        self._rules = rules
        self._encode: Callable[[object], bytes] = msgspec.json.Encoder().encode
        self._before = b""

    def on_open(self, block: OpenBlock) -> None:
        """Append the beginning of a block, and prepare the frame of its deltas."""
        self._pieces.append(frame(BlockStart(block.index, open_block(block))))
        self._before = _before(block.index, *_DELTAS[block.kind])

    def on_text(self, block: OpenBlock, text: str) -> None:
        """Append a delta."""
        if block.kind != "thinking" or self._rules.shows_thinking:
            self._pieces += (self._before, escape_line_ends(self._encode(text)), b"}}\n\n")

    def on_close(self, block: OpenBlock) -> None:
        """Append the end of a block: of thinking, its signature first."""
        if block.kind == "thinking":
            signature = self._encode(self._rules.seal(block.text))
            self._pieces += (_before(block.index, "signature_delta", "signature"), signature, b"}}\n\n")
        self._pieces.append(frame(BlockStop(block.index)))


def _before(index: int, kind: str, field: str) -> bytes:
    """Return a delta's frame up to its text."""
    data = f'{{"type":"content_block_delta","index":{index},"delta":{{"type":"{kind}","{field}":'
    return f"event: content_block_delta\ndata: {data}".encode()


def _start(answer: AnswerMetadata, usage: Usage) -> MessageObject:
    return MessageObject(id=f"msg_{uuid.uuid4().hex}", model=answer.model, usage=render_usage(usage))
