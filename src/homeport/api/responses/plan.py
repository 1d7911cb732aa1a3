"""What rendering a response needs to know of its request. Values only."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from homeport.api.responses.output_items import FileCitation
from homeport.api.responses.response_object import ResponseObject
from homeport.domain.events import Usage
from homeport.domain.responses import Item

CallKind = Literal[
    "function", "custom", "local_shell", "shell", "apply_patch", "image_generation", "file_search", "mcp"
]
HOSTED_KINDS = frozenset({"image_generation", "file_search", "mcp"})
"""The kinds whose calls the server executes. Each is also the type of its tools."""


class CallTarget(NamedTuple):
    """What a call of the model means to the caller: the type of its item, and the tool's name and namespace there."""

    kind: CallKind
    name: str
    namespace: str | None = None


class FinishedResponse(NamedTuple):
    """A response at its end: its status, its JSON with an empty `output`, and the items of its output."""

    status: str
    body: str
    output: tuple[Item, ...]


class FirstItems(NamedTuple):
    """The items of the output that were made before the model answers.

    `usage`: what they cost; `changes`: how the conversation was changed for them.
    """

    items: tuple[Item, ...] = ()
    usage: Usage = Usage()
    changes: tuple[str, ...] = ()


Cite = Callable[[str, Sequence[Item]], Sequence[FileCitation]]

NOTHING_FIRST = FirstItems()


@dataclass(frozen=True)
class ResponsePlan:
    """How a response is rendered.

    `base`: the response as it begins: `in_progress`, without output. `targets`: what the model's tool names mean.
    `has_summary`: reasoning is returned as the summary, else as content. `seal` makes `encrypted_content` of
    reasoning; None: it is not asked for. `now`: the wall clock in
    seconds. `seal_summary`: the answer is a summary, which becomes a compaction; None: it is an answer. `first`: what
    precedes the model's output. `cite` finds the citations of a message, given the items before it; None: there are
    none. `on_end` stores the response, before its end is sent; None: it is not stored.
    """

    base: ResponseObject
    targets: Mapping[str, CallTarget] = field(default_factory=dict)
    is_streamed: bool = False
    is_padded: bool = False
    has_logprobs: bool = False
    has_summary: bool = False
    seal: Callable[[str], str] | None = None
    seal_summary: Callable[[str], str] | None = None
    first: FirstItems = NOTHING_FIRST
    now: Callable[[], float] = time.time
    cite: Cite | None = None
    on_end: Callable[[FinishedResponse], Awaitable[None]] | None = None
