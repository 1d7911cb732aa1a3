"""The output of a response: from what a model writes to items, whether they are streamed or not.

Knows nothing of the JSON of events, or of when a response is stored.
"""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from homeport.api import json_codec
from homeport.api.responses.item_ids import output_item_id
from homeport.api.responses.open_items import (
    COMPLETED,
    INCOMPLETE,
    OpenAction,
    OpenCall,
    OpenItem,
    OpenMessage,
    OpenReasoning,
)
from homeport.api.responses.output_items import OutputItem
from homeport.api.responses.plan import ResponsePlan
from homeport.domain.events import ChoiceFinished, Event, ReasoningDelta, ScoredToken, TextDelta, ToolCallDelta
from homeport.domain.responses import Item

_CALL_PREFIXES = {
    "function": "fc",
    "custom": "ctc",
    "local_shell": "lsh",
    "shell": "sh",
    "apply_patch": "apc",
}


T = TypeVar("T", bound=OpenItem)


class OutputListener(Protocol):
    """Follows how an output is written."""

    def on_open(self, item: OpenItem) -> None:
        """An item begins."""
        ...

    def on_text(self, item: OpenItem, text: str, scored: tuple[ScoredToken, ...]) -> None:
        """An item has more text."""
        ...

    def on_close(self, item: OpenItem, rendered: OutputItem) -> None:
        """An item ends."""
        ...


class ResponseOutput:
    """Collects the items of one response. `reason`: the finish reason; None: the model has not finished."""

    def __init__(self, plan: ResponsePlan, listener: OutputListener | None = None) -> None:
        self.items: list[Item] = []
        self.reason: str | None = None
        self._plan = plan
        self._listener = listener
        self._open: OpenItem | None = None

    def add(self, events: Iterable[Event]) -> None:
        """Add a batch of events; those of other kinds are ignored."""
        for event in events:
            if isinstance(event, TextDelta):
                self._add_text(event)
            elif isinstance(event, ReasoningDelta):
                self._write(self._reasoning(), event.text)
            elif isinstance(event, ToolCallDelta):
                self._write(self._call(event), event.arguments)
            elif isinstance(event, ChoiceFinished):
                self._finish(event.reason)

    def _add_text(self, event: TextDelta) -> None:
        message = self._open
        if not isinstance(message, OpenMessage):
            message = self._begin(OpenMessage(*self._place("msg")))
        message.add_scored(event.scored)
        self._write(message, event.text, event.scored)

    def _write(self, item: OpenItem, text: str, scored: tuple[ScoredToken, ...] = ()) -> None:
        if text or scored:
            item.add(text)
            if self._listener:
                self._listener.on_text(item, text, scored)

    def _reasoning(self) -> OpenReasoning:
        if isinstance(self._open, OpenReasoning):
            return self._open
        place = self._place("rs")
        return self._begin(OpenReasoning(*place, has_summary=self._plan.has_summary, seal=self._plan.seal))

    def _call(self, event: ToolCallDelta) -> OpenCall:
        if not event.id and isinstance(self._open, OpenCall):
            return self._open
        target = self._plan.targets[event.name]
        kind = OpenCall if target.kind in ("function", "custom") else OpenAction
        return self._begin(kind(*self._place(_CALL_PREFIXES[target.kind]), event.id, target))

    def _finish(self, reason: str) -> None:
        self.reason = reason
        if self._open is None and not self.items and reason != "length":
            self._begin(OpenMessage(*self._place("msg")))  # the model wrote nothing
        self._close(INCOMPLETE if reason == "length" else COMPLETED)

    def _place(self, prefix: str) -> tuple[str, int]:
        """End the item that is being written; return the id and the index of the next one."""
        self._close(COMPLETED)
        index = len(self.items)
        return output_item_id(prefix, self._plan.base.id, index), index

    def _begin(self, item: T) -> T:
        self._open = item
        if self._listener:
            self._listener.on_open(item)
        return item

    def _close(self, status: str) -> None:
        item, self._open = self._open, None
        if item is None:
            return
        rendered = item.render(status)
        self.items.append(Item(item.id, json_codec.encode(rendered).decode()))
        if self._listener:
            self._listener.on_close(item, rendered)
