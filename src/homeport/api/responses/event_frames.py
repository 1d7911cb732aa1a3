"""The frames of a response's stream: its items as numbered events.

Deltas are spliced into a frame that is encoded once per item. Knows nothing of engines, or of how a response ends.
"""

import secrets

import msgspec

from homeport.api.responses.events import (
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
_Template = tuple[bytes, bytes]
"""An encoded event without its text and its number: what precedes the text, and what follows it."""


class EventFrames:
    """Makes the frames of one stream, in order. Implements `OutputListener`.

    `is_padded`: each event with a delta has random `obfuscation`. `next_number`: the next event's sequence number.
    """

    def __init__(self, *, is_padded: bool = False) -> None:
        self.next_number = 0
        self._is_padded = is_padded
        self._encode = msgspec.json.Encoder().encode
        self._frames: list[bytes] = []
        self._template: _Template | None = None

    def take(self) -> bytes:
        """Return the frames since the last call."""
        taken = b"".join(self._frames)
        self._frames.clear()
        return taken

    def add(self, event: StreamEvent) -> None:
        """Append an event, with the next number."""
        numbered = msgspec.structs.replace(event, sequence_number=self._number())
        self._frames.append(_frame(event.type, escape_line_ends(self._encode(numbered))))

    def on_open(self, item: OpenItem) -> None:
        """Append what begins an item."""
        self._template = None
        if isinstance(item, OpenAction):
            return  # what the caller executes is known only at its end
        self._add_item("added", item, item.render(IN_PROGRESS))
        if isinstance(item, OpenMessage):
            self._add_part("added", item, OutputText(text=""))
        elif isinstance(item, OpenReasoning):
            self._add_part("added", item, SummaryText("") if item.has_summary else ReasoningText(""))

    def on_text(self, item: OpenItem, text: str, scored: tuple[ScoredToken, ...]) -> None:
        """Append a delta."""
        if isinstance(item, OpenAction):
            return
        if scored:
            self.add(msgspec.structs.replace(_written(item, text), logprobs=to_token_logprobs(scored)))
            if self._is_padded:
                frame = self._frames.pop()
                self._frames.append(frame.removesuffix(_END) + padding(len(frame)))
            return
        if self._template is None:
            self._template = self._make_template(_written(item, _TEXT_PLACEHOLDER))
        before, after = self._template
        encoded = escape_line_ends(self._encode(text))
        end = padding(len(encoded)) if self._is_padded else _END
        self._frames.append(b"".join((before, encoded, after, b"%d" % self._number(), end)))

    def on_close(self, item: OpenItem, rendered: OutputItem) -> None:
        """Append what ends an item."""
        if isinstance(item, OpenMessage):
            self.add(
                TextWritten(
                    type=f"{_MESSAGE}.done",
                    item_id=item.id,
                    output_index=item.index,
                    text=item.text,
                    logprobs=item.logprobs,
                )
            )
            self._add_part("done", item, item.part())
        elif isinstance(item, OpenReasoning):
            kind, name = (SummaryWritten, _SUMMARY) if item.has_summary else (TextWritten, _REASONING)
            self.add(kind(type=f"{name}.done", item_id=item.id, output_index=item.index, text=item.text))
            self._add_part("done", item, item.part())
        elif isinstance(item, OpenAction):
            self._add_item("added", item, rendered)
        elif isinstance(item, OpenCall):
            self.add(_whole_call(item))
        self._add_item("done", item, rendered)

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

    def _number(self) -> int:
        number = self.next_number
        self.next_number += 1
        return number


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
