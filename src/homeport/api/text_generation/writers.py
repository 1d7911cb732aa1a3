"""Writers of text answers: a stream of chunks, or one body.

Knows nothing of an endpoint's JSON: its renderer makes the chunks and the body. The stream writer splices plain deltas
into a frame that was encoded once per choice; spliced frames are byte for byte what the encoder would write.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
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
    ScoredToken,
    TextDelta,
    Usage,
)

CHANGES_HEADER = "x-homeport-messages"
"""Lists the changes to a conversation that the model's template does not accept unchanged."""

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


class ChunkRenderer(Protocol):
    """Makes the JSON of an endpoint's chunks."""

    def opening(self, choice: int) -> msgspec.Struct | None:
        """Make the chunk that precedes a choice's first one, if there is one."""
        ...

    def delta(self, choice: int, text: str, scored: tuple[ScoredToken, ...]) -> msgspec.Struct:
        """Make the chunk for new text."""
        ...

    def finish(self, choice: int, reason: str) -> msgspec.Struct:
        """Make the last chunk of one choice."""
        ...

    def usage(self, usage: Usage) -> msgspec.Struct | None:
        """Make the chunk with the usage, if the caller asked for it."""
        ...


class TextAnswerWriter(CollectingWriter):
    """Collects all choices and writes one body."""

    def __init__(self, renderer: Callable[[AnswerMetadata], AnswerRenderer], context: RequestContext) -> None:
        self._make_renderer = renderer
        self._context = context
        self._collector = ChoicesCollector()

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Make the renderer; return the header that lists the changes to the conversation."""
        self._renderer = self._make_renderer(answer)
        return {**super().on_admitted(answer), **_changes_header(answer)}

    def collect(self, events: Sequence[Event]) -> None:
        """Collect the choices' events."""
        self._collector.add(events)

    async def finish(self) -> bytes:
        """Return the body, with the limit of the key that ended the answer."""
        body = self._renderer.answer(self._collector.choices, self.usage)
        return json_codec.encode(with_limit(body, self._context.limited_by))


class TextStreamWriter(Writer):
    """Writes each event as the frames of a stream.

    The last chunk of a choice names the key's limit that ended it. `is_padded`: each chunk has random `obfuscation`.
    """

    delivery = Delivery.SSE

    def __init__(
        self,
        renderer: Callable[[AnswerMetadata], ChunkRenderer],
        context: RequestContext,
        *,
        is_padded: bool = False,
    ) -> None:
        self._make_renderer = renderer
        self._context = context
        self._is_padded = is_padded
        self._encode = msgspec.json.Encoder().encode
        self._templates: dict[int, tuple[bytes, bytes]] = {}

    def on_admitted(self, answer: AnswerMetadata) -> Mapping[str, str]:
        """Make the renderer; return the header that lists the changes to the conversation."""
        self._renderer = self._make_renderer(answer)
        return {**super().on_admitted(answer), **_changes_header(answer)}

    def write(self, events: Sequence[Event]) -> bytes:
        """Return the frames of a batch of events."""
        frames: list[bytes] = []
        for event in events:
            if isinstance(event, TextDelta):
                before, after = self._templates.get(event.choice) or self._open(event.choice, frames)
                if event.scored:
                    frames.append(self._frame(self._renderer.delta(event.choice, event.text, event.scored)))
                elif self._is_padded:
                    text = escape_line_ends(self._encode(event.text))
                    frames += (before, text, after.removesuffix(_END), _padding(len(text)))
                else:
                    frames += (before, escape_line_ends(self._encode(event.text)), after)
            elif isinstance(event, ChoiceFinished):
                if event.choice not in self._templates:
                    self._open(event.choice, frames)
                last = self._renderer.finish(event.choice, event.reason)
                frames.append(self._frame(with_limit(last, self._context.limited_by) if event.is_cut else last))
        return b"".join(frames)

    async def finish(self) -> bytes:
        """Return the chunk with the usage, if the caller asked for it, and `[DONE]`."""
        chunk = self._renderer.usage(self.usage)
        return (self._frame(chunk) if chunk else b"") + DONE

    def _open(self, choice: int, frames: list[bytes]) -> tuple[bytes, bytes]:
        """Begin a choice: write its opening chunk and make its template."""
        if chunk := self._renderer.opening(choice):
            frames.append(self._frame(chunk))
        encoded = sse_event(self._encode(self._renderer.delta(choice, _TEXT_PLACEHOLDER, ())))
        before, _, after = encoded.partition(self._encode(_TEXT_PLACEHOLDER))
        self._templates[choice] = (before, after)
        return before, after

    def _frame(self, chunk: msgspec.Struct) -> bytes:
        frame = sse_event(self._encode(chunk))
        return frame.removesuffix(_END) + _padding(len(frame)) if self._is_padded else frame


def _changes_header(answer: AnswerMetadata) -> Mapping[str, str]:
    return {CHANGES_HEADER: ", ".join(answer.admitted.changes)} if answer.admitted.changes else {}


def _padding(size: int) -> bytes:
    """Return the end of a padded chunk, of which `size` bytes reveal something: with it they are a multiple of 32."""
    return b',"obfuscation":"' + secrets.token_urlsafe(_PAD)[: _PAD - size % _PAD].encode() + b'"' + _END
