"""The frames of a response's stream: its items as numbered events.

Deltas are spliced into a frame that is encoded once per item. Knows nothing of engines, or of how a response ends.
"""

import itertools
import secrets
from typing import Any

import msgspec

from homeport.api.responses.events import (
    AnnotationAdded,
    CallWritten,
    ItemChanged,
    PartChanged,
    StreamEvent,
    SummaryPartChanged,
    SummaryWritten,
    TextWritten,
)
from homeport.api.responses.open_items import (
    IN_PROGRESS,
    OpenAction,
    OpenCall,
    OpenCompaction,
    OpenItem,
    OpenMessage,
    OpenReasoning,
)
from homeport.api.responses.output_items import OutputItem, OutputText, ReasoningText, SummaryText
from homeport.api.streaming import escape_line_ends
from homeport.api.text_generation.token_logprobs import to_token_logprobs
from homeport.api.text_generation.writers import padding
from homeport.domain.events import ScoredToken

_MESSAGE, _REASONING, _SUMMARY = "response.output_text", "response.reasoning_text", "response.reasoning_summary_text"
_FUNCTION, _CUSTOM = "response.function_call_arguments", "response.custom_tool_call_input"
# Stands for the text while a template is encoded. No caller can guess it.
_TEXT_PLACEHOLDER = f"text-placeholder-{secrets.token_hex(16)}"
_END = b"}\n\n"
_FIRST_NUMBERS = tuple(b"%d" % number for number in range(4096))
"""Sequence numbers, encoded once for all streams. Few streams have more events."""
_WHOLE = (OpenAction, OpenCompaction)
"""The items that have no deltas."""
_Template = tuple[bytes, bytes]
"""An encoded event without its text and its number: what precedes the text, and what follows it."""


class EventFrames:
    """Makes the frames of one stream, in order: one item after the other. Implements `OutputListener`.

    `pieces` collects the bytes: a frame may be several of them, because the caller joins all anyway.
    `is_padded`: each event with a delta has random `obfuscation`.
    """

    def __init__(self, pieces: list[bytes], *, is_padded: bool = False) -> None:
        self._is_padded = is_padded
        self._encode = msgspec.json.Encoder().encode
        self._numbers = itertools.chain(_FIRST_NUMBERS, map(self._encode, itertools.count(len(_FIRST_NUMBERS))))
        self._pieces = pieces
        self._template: _Template | None = None

    def add(self, event: StreamEvent) -> None:
        """Append an event, with the next number."""
        numbered = msgspec.structs.replace(event, sequence_number=msgspec.Raw(next(self._numbers)))
        self._pieces.append(_frame(event.type, escape_line_ends(self._encode(numbered))))

    def add_whole(self, item: Any, index: int) -> None:
        """Append the events of an item that was complete before the stream began."""
        for change in ("added", "done"):
            self.add(ItemChanged(type=f"response.output_item.{change}", output_index=index, item=item))

    def on_open(self, item: OpenItem) -> None:
        """Append what begins an item."""
        if isinstance(item, _WHOLE):
            self._template = None  # what it is, is known only at its end
            return
        self._template = self._make_template(_written(item, _TEXT_PLACEHOLDER))
        self._add_item("added", item, item.render(IN_PROGRESS))
        if isinstance(item, OpenMessage):
            self._add_part("added", item, OutputText(text=""))
        elif isinstance(item, OpenReasoning):
            self._add_part("added", item, SummaryText("") if item.has_summary else ReasoningText(""))

    def on_text(self, item: OpenItem, text: str, scored: tuple[ScoredToken, ...]) -> None:
        """Append a delta of the item that was opened last."""
        if self._template is None:
            return
        if scored:
            self._add_scored(item, text, scored)
            return
        before, after = self._template
        encoded = self._encode(text)
        if not encoded.isascii():
            encoded = escape_line_ends(encoded)
        end = padding(len(encoded)) if self._is_padded else _END
        self._pieces.extend((before, encoded, after, next(self._numbers), end))

    def on_close(self, item: OpenItem, rendered: OutputItem) -> None:
        """Append what ends an item."""
        if isinstance(item, OpenMessage):
            part = item.part()
            for at, annotation in enumerate(part.annotations):
                self.add(
                    AnnotationAdded(
                        item_id=item.id, output_index=item.index, annotation_index=at, annotation=annotation
                    )
                )
            self.add(
                TextWritten(
                    type=f"{_MESSAGE}.done",
                    item_id=item.id,
                    output_index=item.index,
                    text=part.text,
                    logprobs=part.logprobs,
                )
            )
            self._add_part("done", item, part)
        elif isinstance(item, OpenReasoning):
            thought = item.part()
            kind, name = (SummaryWritten, _SUMMARY) if item.has_summary else (TextWritten, _REASONING)
            self.add(kind(type=f"{name}.done", item_id=item.id, output_index=item.index, text=thought.text))
            self._add_part("done", item, thought)
        elif isinstance(item, _WHOLE):
            self._add_item("added", item, rendered)
        elif isinstance(item, OpenCall):
            self.add(_whole_call(item))
        self._add_item("done", item, rendered)

    def _add_scored(self, item: OpenItem, text: str, scored: tuple[ScoredToken, ...]) -> None:
        self.add(msgspec.structs.replace(_written(item, text), logprobs=to_token_logprobs(scored)))
        if self._is_padded:
            frame = self._pieces.pop()
            self._pieces.append(frame.removesuffix(_END) + padding(len(frame)))

    def _add_item(self, change: str, item: OpenItem, rendered: OutputItem) -> None:
        self.add(ItemChanged(type=f"response.output_item.{change}", output_index=item.index, item=rendered))

    def _add_part(self, change: str, item: OpenItem, part: OutputText | ReasoningText | SummaryText) -> None:
        kind, name = (
            (SummaryPartChanged, "response.reasoning_summary_part")
            if isinstance(part, SummaryText)
            else (PartChanged, "response.content_part")
        )
        self.add(kind(type=f"{name}.{change}", item_id=item.id, output_index=item.index, part=part))

    def _make_template(self, event: StreamEvent) -> _Template:
        body = self._encode(event).removesuffix(b"}") + b',"sequence_number":'
        before, after = _frame(event.type, body).removesuffix(b"\n\n").split(self._encode(_TEXT_PLACEHOLDER))
        return before, after


def _written(item: OpenItem, text: str) -> StreamEvent:
    """Return the event of a delta."""
    if isinstance(item, OpenMessage):
        return TextWritten(type=f"{_MESSAGE}.delta", item_id=item.id, output_index=item.index, delta=text, logprobs=())
    if isinstance(item, OpenReasoning):
        kind, name = (SummaryWritten, _SUMMARY) if item.has_summary else (TextWritten, _REASONING)
        return kind(type=f"{name}.delta", item_id=item.id, output_index=item.index, delta=text)
    name = _CUSTOM if isinstance(item, OpenCall) and item.target.kind == "custom" else _FUNCTION
    return CallWritten(type=f"{name}.delta", item_id=item.id, output_index=item.index, delta=text)


def _whole_call(item: OpenCall) -> CallWritten:
    """Return the event with all that was written of a call."""
    if item.target.kind == "custom":
        return CallWritten(type=f"{_CUSTOM}.done", item_id=item.id, output_index=item.index, input=item.text)
    return CallWritten(
        type=f"{_FUNCTION}.done",
        item_id=item.id,
        output_index=item.index,
        name=item.target.name,
        arguments=item.text,
    )


def _frame(kind: str, document: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), document)
