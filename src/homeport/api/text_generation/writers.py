"""Writers of text answers: a stream of chunks, or one body.

Knows nothing of an endpoint's JSON: its renderer makes the chunks and the body. The stream writer splices plain deltas
into a frame that was encoded once per choice, or once per tool call; spliced frames are byte for byte what the encoder
would write.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from homeport.api import json_codec
from homeport.api.request_context import RequestContext
from homeport.api.streaming import DONE, escape_line_ends, sse_event
from homeport.api.text_generation.choices import Choice, ChoicesCollector
from homeport.api.text_generation.render import with_limit
from homeport.api.writer import AnswerMetadata, CollectingWriter, Delivery, Writer
from homeport.domain.events import (
    ChoiceFinished,
    Event,
    ReasoningDelta,
    ScoredToken,
    TextDelta,
    ToolCallDelta,
    Usage,
)

CHANGES_HEADER = "x-homeport-messages"
"""Lists the changes to a conversation that the model's template does not accept unchanged."""

StoreAnswer = Callable[[msgspec.Struct], Awaitable[None]]
"""Stores the body of a whole answer; what it raises is the caller's answer, or the last event of the stream."""

_Template = tuple[bytes, ...]
"""An encoded frame without its text: what precedes it and what follows it."""

# Stands for the text while a template is encoded. No caller can guess it, so none can send it as a model name.
_TEXT_PLACEHOLDER = f"text-placeholder-{secrets.token_hex(16)}"
_END = b"}\n\n"
_PAD = 32
"""Padded frames of deltas differ in size by multiples of this, so that sizes do not reveal short words."""


class AnswerRenderer(Protocol):
    """Makes the JSON of an endpoint's whole answer."""

    def answer(self, choices: Sequence[Choice], usage: Usage) -> msgspec.Struct:
        """Make the body."""
        ...


class ChunkRenderer(AnswerRenderer, Protocol):
    """Makes the JSON of an endpoint's chunks, and of the whole answer that they are parts of."""

    def opening(self, choice: int, *, has_text: bool) -> msgspec.Struct | None:
        """Make the chunk that precedes a choice's first one, if there is one.

        `has_text`: the first one has text or is the last; otherwise it has reasoning or a tool call.
        """
        ...

    def delta(self, choice: int, text: str, scored: tuple[ScoredToken, ...]) -> msgspec.Struct:
        """Make the chunk for new text."""
        ...

    def reasoning(self, choice: int, text: str) -> msgspec.Struct | None:
        """Make the chunk for new reasoning; None if the endpoint has none."""
        ...

    def call(self, choice: int, index: int, call_id: str, name: str) -> msgspec.Struct | None:
        """Make the chunk that begins a tool call; None if the endpoint omits it."""
        ...

    def arguments(self, choice: int, index: int, text: str) -> msgspec.Struct | None:
        """Make the chunk for more arguments of the call; None if the endpoint omits them."""
        ...

    def finish(self, choice: int, reason: str) -> msgspec.Struct:
        """Make the last chunk of one choice."""
        ...

    def usage(self, usage: Usage) -> msgspec.Struct | None:
        """Make the chunk with the usage, if the caller asked for it."""
        ...


class TextAnswerWriter(CollectingWriter):
    """Collects all choices and writes one body. `store` stores it before it is sent; None: it is not stored."""

    def __init__(
        self,
        renderer: Callable[[AnswerMetadata], AnswerRenderer],
        context: RequestContext,
        *,
        store: StoreAnswer | None = None,
    ) -> None:
        self._make_renderer = renderer
        self._context = context
        self._store = store
        self._collector = ChoicesCollector()

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Make the renderer; return the header that lists the changes to the conversation."""
        self._renderer = self._make_renderer(answer)
        return {**super().on_admitted(answer), **changes_header(answer)}

    def collect(self, events: Sequence[Event]) -> None:
        """Collect the choices' events."""
        self._collector.add(events)

    async def finish(self) -> bytes:
        """Store and return the body, with the limit of the key that ended the answer."""
        body = with_limit(self._renderer.answer(self._collector.choices, self.usage), self._context.limited_by)
        if self._store:
            await self._store(body)
        return json_codec.encode(body)


class TextStreamWriter(Writer):
    """Writes each event as the frames of a stream.

    The last chunk of a choice names the key's limit that ended it. `is_padded`: each chunk has random `obfuscation`.
    `store` stores the whole answer of the same events before the stream ends; None: it is not stored.
    """

    delivery = Delivery.SSE

    def __init__(
        self,
        renderer: Callable[[AnswerMetadata], ChunkRenderer],
        context: RequestContext,
        *,
        is_padded: bool = False,
        store: StoreAnswer | None = None,
    ) -> None:
        self._make_renderer = renderer
        self._context = context
        self._is_padded = is_padded
        self._store = store
        self._collector = ChoicesCollector() if store else None
        self._encode = msgspec.json.Encoder().encode
        self._templates: dict[int, _Template] = {}
        self._reasoning_templates: dict[int, _Template] = {}
        self._arguments_templates: dict[tuple[int, int], _Template] = {}

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Make the renderer; return the header that lists the changes to the conversation."""
        self._renderer = self._make_renderer(answer)
        return {**super().on_admitted(answer), **changes_header(answer)}

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the frames of a batch of events."""
        if self._collector:
            self._collector.add(events)
        frames: list[bytes] = []
        for event in events:
            if isinstance(event, TextDelta):
                template = self._templates.get(event.choice) or self._open(event.choice, frames, has_text=True)
                if event.scored:
                    frames.append(self._frame(self._renderer.delta(event.choice, event.text, event.scored)))
                else:
                    frames.append(self._splice(template, event.text))
            elif isinstance(event, ReasoningDelta):
                self._write_reasoning(event, frames)
            elif isinstance(event, ToolCallDelta):
                self._write_call(event, frames)
            elif isinstance(event, ChoiceFinished):
                if event.choice not in self._templates:
                    self._open(event.choice, frames, has_text=True)
                last = self._renderer.finish(event.choice, event.reason)
                frames.append(self._frame(with_limit(last, self._context.limited_by) if event.is_cut else last))
        return b"".join(frames)

    async def finish(self) -> bytes:
        """Store the answer; return the chunk with the usage, if the caller asked for it, and `[DONE]`."""
        if self._store and self._collector:
            body = self._renderer.answer(self._collector.choices, self.usage)
            await self._store(with_limit(body, self._context.limited_by))
        chunk = self._renderer.usage(self.usage)
        return (self._frame(chunk) if chunk else b"") + DONE

    def _write_reasoning(self, event: ReasoningDelta, frames: list[bytes]) -> None:
        if event.choice not in self._templates:
            self._open(event.choice, frames, has_text=False)
        template = self._reasoning_templates.get(event.choice)
        if template is None:
            template = self._make_template(self._renderer.reasoning(event.choice, _TEXT_PLACEHOLDER))
            self._reasoning_templates[event.choice] = template
        frames.append(self._splice(template, event.text))

    def _write_call(self, event: ToolCallDelta, frames: list[bytes]) -> None:
        choice, index = event.choice, event.index
        if choice not in self._templates:
            self._open(choice, frames, has_text=False)
        template = self._arguments_templates.get((choice, index))
        if template is None:
            if begin := self._renderer.call(choice, index, event.id, event.name):
                frames.append(self._frame(begin))
            template = self._make_template(self._renderer.arguments(choice, index, _TEXT_PLACEHOLDER))
            self._arguments_templates[choice, index] = template
        if event.arguments:
            frames.append(self._splice(template, event.arguments))

    def _open(self, choice: int, frames: list[bytes], *, has_text: bool) -> _Template:
        """Begin a choice: write its opening chunk and make the template of its text.

        Choices with lower indexes begin before it, because the official client's stream helper needs them in order.
        """
        for lower in range(choice):
            if lower not in self._templates:
                self._open(lower, frames, has_text=True)
        if chunk := self._renderer.opening(choice, has_text=has_text):
            frames.append(self._frame(chunk))
        template = self._templates[choice] = self._make_template(self._renderer.delta(choice, _TEXT_PLACEHOLDER, ()))
        return template

    def _make_template(self, chunk: msgspec.Struct | None) -> _Template:
        """Encode a chunk whose text is the placeholder, and cut the placeholders out. None makes an empty frame."""
        if chunk is None:
            return ()
        return tuple(sse_event(self._encode(chunk)).split(self._encode(_TEXT_PLACEHOLDER)))

    def _splice(self, template: _Template, text: str) -> bytes:
        """Return the frame of a template with this text in each place."""
        encoded = escape_line_ends(self._encode(text))
        frame = encoded.join(template)
        if self._is_padded and frame:
            return frame.removesuffix(_END) + padding(len(encoded) * (len(template) - 1))
        return frame

    def _frame(self, chunk: msgspec.Struct) -> bytes:
        frame = sse_event(self._encode(chunk))
        return frame.removesuffix(_END) + padding(len(frame)) if self._is_padded else frame


def changes_header(answer: AnswerMetadata, earlier: Sequence[str] = ()) -> Mapping[str, str]:
    """Return the header that lists the changes to a conversation, the `earlier` ones first; empty without changes."""
    changes = dict.fromkeys((*earlier, *answer.admitted.changes))
    return {CHANGES_HEADER: ", ".join(changes)} if changes else {}


def padding(size: int) -> bytes:
    """Return the end of a padded chunk, of which `size` bytes reveal something: with it they are a multiple of 32."""
    return b',"obfuscation":"' + secrets.token_urlsafe(_PAD)[: _PAD - size % _PAD].encode() + b'"' + _END
