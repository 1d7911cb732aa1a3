"""The interface of hosted tools: those that the server executes inside a response, between two turns of the model.

A type of tools has a reader, which makes a `HostedOffer` of each declaration before the response begins. The model is
offered the offer's functions. `tool_turns` passes its calls to the offer's tool, and the item that a call becomes is
part of the response's output. What the model reads of it in the next turn, and in later responses, is made of the item
alone: `history` calls `hosted_history.to_exchange`. Knows nothing of any type of tools, of streams, or of engines.

A new type needs: its structs in `item_schema.HostedItem`, `items` and `item_checks`, its reader in
`tool_reader.READERS`, its kind in `plan.CallKind` and `HOSTED_KINDS`, and its exchange in `hosted_history`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec
from starlette.requests import Request

from homeport.api.responses.events import StreamEvent
from homeport.api.responses.item_ids import output_item_id
from homeport.api.responses.item_schema import InputItem
from homeport.api.responses.plan import CallTarget
from homeport.domain.tools import Tool


@dataclass(frozen=True)
class ItemPlace:
    """Where the next item of the output stands. `index`: its `output_index`."""

    response_id: str
    index: int

    def item_id(self, prefix: str) -> str:
        """Return the id of the item here. `prefix` is that of its type, such as `ig`."""
        return output_item_id(prefix, self.response_id, self.index)


class HostedCall(NamedTuple):
    """The model's call of a hosted function. `arguments`: JSON as the model wrote it, which may be invalid.

    `name`: what the model calls the function.
    """

    target: CallTarget
    arguments: str
    name: str = ""


class IdentifiedItem(Protocol):
    """An item of the output: a `msgspec.Struct` whose JSON is the item."""

    @property
    def id(self) -> str:
        """The item's id."""
        ...


class ItemStarted(NamedTuple):
    """The item begins: `response.output_item.added` is sent with it."""

    item: IdentifiedItem


class ItemFinished(NamedTuple):
    """The item is complete: `response.output_item.done` is sent with it, and it becomes part of the output.

    `needs_caller`: the caller must act before the model can continue, as for an approval: the response ends.
    `returned`: what the caller receives, and what is stored, if that is less than what the model reads until then.
    """

    item: IdentifiedItem
    needs_caller: bool = False
    returned: IdentifiedItem | None = None


HostedStep = ItemStarted | StreamEvent | ItemFinished
"""What happens while an item is made. Events are sent as they are, with the next `sequence_number`.

The first step is `ItemStarted`, the last one `ItemFinished`. All of them are of one item.
"""

ItemSteps = Callable[[ItemPlace], AsyncGenerator[HostedStep, None]]
"""Makes one item of the output, at the place that it is given."""
KnownSteps = Callable[[ItemPlace], Iterable[HostedStep]]
"""Makes one item of the output at once, because all is known by then."""


class HostedTool(Protocol):
    """Executes the calls of one declared tool. Used by one response only."""

    def run(self, call: HostedCall, place: ItemPlace) -> AsyncGenerator[HostedStep, None]:
        """Execute a call, and yield its steps while they happen.

        A call that fails, also because of its arguments, is an item that says so: what this raises fails the whole
        response. If the caller leaves or cancels, the task is cancelled where it waits, or the generator is closed: end
        all work in `finally`. Bounds its own time and the size of its item.
        """
        ...


class HostedFunction(NamedTuple):
    """A function that the model is offered. `target.kind` is the type of its tool, one of `HOSTED_KINDS`.

    `tool.param` names the declaration in errors. If the caller's tools have the name of the function, it is offered
    under another name; calls are recognized by their target.
    """

    tool: Tool
    target: CallTarget


@dataclass(frozen=True)
class HostedOffer:
    """What one declared tool brings into a response.

    `listed`: items with which the output begins. `pending`: items that take time, which are made before the model's
    first turn, but after the first bytes of a stream: calls that the caller has approved. Each of them counts as a call
    in `max_tool_calls`. `close` ends what the tool has open, after the response.
    """

    functions: Sequence[HostedFunction]
    tool: HostedTool
    listed: Sequence[KnownSteps] = ()
    pending: Sequence[ItemSteps] = ()
    close: Callable[[], Awaitable[None]] | None = None


@asynccontextmanager
async def closing(offers: Iterable[HostedOffer]) -> AsyncIterator[None]:
    """Keep the tools of offers open during the block, then close them."""
    async with AsyncExitStack() as stack:
        for offer in offers:
            if offer.close is not None:
                stack.push_async_callback(offer.close)
        yield


class HostedDeclaration(NamedTuple):
    """A declared tool. `place` names it in errors, such as `tools[0]`; `raw`: its JSON.

    `history`: the items that the model reads, those of earlier responses first. `is_streamed`: whether anybody reads
    the events. `include`: what the request asks for besides the usual fields.
    """

    place: str
    raw: msgspec.Raw
    history: Sequence[InputItem] = ()
    is_streamed: bool = False
    include: Sequence[str] = ()


HostedReader = Callable[[Request, HostedDeclaration], Awaitable[HostedOffer]]
"""Checks a declared tool and prepares it, before the response begins.

Raises InvalidRequest naming the field (`f"{place}.…"`), and what refuses the request with a status of its own.
"""


def text_parameter(name: str, max_chars: int) -> str:
    """Return the JSON Schema, as text, of a function whose only parameter is a text of limited length."""
    schema = {
        "type": "object",
        "properties": {name: {"type": "string", "minLength": 1, "maxLength": max_chars}},
        "required": [name],
        "additionalProperties": False,
    }
    return msgspec.json.encode(schema).decode()
