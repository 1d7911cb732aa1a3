"""The output of a response: from what a model writes to items, whether they are streamed or not.

Knows nothing of the JSON of events, or of when a response is stored.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from homeport.api import json_codec
from homeport.api.responses.hosted_tools import HostedCall, IdentifiedItem, ItemPlace
from homeport.api.responses.item_ids import output_item_id
from homeport.api.responses.open_items import (
    COMPLETED,
    INCOMPLETE,
    OpenAction,
    OpenCall,
    OpenCompaction,
    OpenItem,
    OpenMessage,
    OpenReasoning,
)
from homeport.api.responses.output_items import OutputItem
from homeport.api.responses.plan import HOSTED_KINDS, ResponsePlan
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
    """Collects the items of one response. `reason`: the finish reason; None: the model has not finished.

    `n_calls`: how many calls of this turn the caller executes; `hosted`: those that the server executes, which become
    items only by `append`.
    """

    def __init__(self, plan: ResponsePlan, listener: OutputListener | None = None) -> None:
        self.items: list[Item] = [*plan.first.items]
        self.reason: str | None = None
        self.n_calls = 0
        self.hosted: list[HostedCall] = []
        self._plan = plan
        self._listener = listener
        self._open: OpenItem | None = None
        self._is_hosted = False  # whether the latest call is
        self._returned: dict[str, Item] = {}

    def add(self, events: Iterable[Event]) -> None:
        """Add a batch of events; those of other kinds are ignored."""
        item: OpenItem | None
        if self._plan.seal_summary is not None:
            self._add_summary(events, self._plan.seal_summary)
            return
        for event in events:
            if isinstance(event, TextDelta):
                item, text, scored = self._open, event.text, event.scored
                if not isinstance(item, OpenMessage):
                    item = self._begin(OpenMessage(*self._place("msg")))
                if scored:
                    item.add_scored(scored)
            elif isinstance(event, ReasoningDelta):
                item, text, scored = self._reasoning(), event.text, ()
            elif isinstance(event, ToolCallDelta):
                if self._add_hosted(event):
                    continue
                item, text, scored = self._call(event), event.arguments, ()
            else:
                if isinstance(event, ChoiceFinished):
                    self._finish(event.reason)
                continue
            if text or scored:
                item.pieces.append(text)
                if self._listener is not None:
                    self._listener.on_text(item, text, scored)

    @property
    def place(self) -> ItemPlace:
        """Where the next item stands, when none is being written."""
        return ItemPlace(self._plan.base.id, len(self.items))

    @property
    def returned(self) -> Sequence[Item]:
        """The items as the caller receives them and as they are stored."""
        return [self._returned.get(item.id, item) for item in self.items] if self._returned else self.items

    def append(self, item: IdentifiedItem, returned: IdentifiedItem | None = None) -> None:
        """Add an item that the server has made. `returned`: what the caller receives of it; None: all."""
        self.items.append(Item(item.id, json_codec.encode(item).decode()))
        if returned is not None and returned is not item:
            self._returned[item.id] = Item(item.id, json_codec.encode(returned).decode())

    def begin_turn(self) -> None:
        """Forget the calls of the last turn."""
        self.n_calls = 0
        self.hosted = []

    def _add_summary(self, events: Iterable[Event], seal: Callable[[str], str]) -> None:
        """Add a batch of the events of a summary."""
        for event in events:
            if isinstance(event, TextDelta):
                if not isinstance(self._open, OpenCompaction):
                    self._begin(OpenCompaction(*self._place("cmp"), seal))
                if self._open is not None:
                    self._open.pieces.append(event.text)
            elif isinstance(event, ChoiceFinished):
                self._finish(event.reason)

    def _reasoning(self) -> OpenReasoning:
        if isinstance(self._open, OpenReasoning):
            return self._open
        place = self._place("rs")
        return self._begin(OpenReasoning(*place, has_summary=self._plan.has_summary, seal=self._plan.seal))

    def _call(self, event: ToolCallDelta) -> OpenCall:
        if not event.id and isinstance(self._open, OpenCall):
            return self._open
        target = self._plan.targets[event.name]
        self.n_calls += 1
        kind = OpenCall if target.kind in ("function", "custom") else OpenAction
        return self._begin(kind(*self._place(_CALL_PREFIXES[target.kind]), event.id, target))

    def _add_hosted(self, event: ToolCallDelta) -> bool:
        """Collect a call that the server executes; return whether it is one."""
        if event.id:
            target = self._plan.targets[event.name]
            if target.kind not in HOSTED_KINDS:
                self._is_hosted = False
                return False
            self._close(COMPLETED)
            self._is_hosted = True
            self.hosted.append(HostedCall(target, event.arguments, event.name))
        elif self._is_hosted:
            call = self.hosted[-1]
            self.hosted[-1] = call._replace(arguments=call.arguments + event.arguments)
        return self._is_hosted

    def _finish(self, reason: str) -> None:
        seal_summary = self._plan.seal_summary
        self.reason = "stop" if seal_summary else reason  # what was written of a summary is one
        has_items = self.hosted or len(self.items) > len(self._plan.first.items)
        if self._open is None and not has_items and self.reason != "length":
            # The model wrote nothing.
            self._begin(
                OpenCompaction(*self._place("cmp"), seal_summary) if seal_summary else OpenMessage(*self._place("msg"))
            )
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
        if isinstance(item, OpenMessage) and self._plan.cite is not None:
            item.citations = self._plan.cite(item.text, self.items)
        rendered = item.render(status)
        self.items.append(Item(item.id, json_codec.encode(rendered).decode()))
        if self._listener:
            self._listener.on_close(item, rendered)
