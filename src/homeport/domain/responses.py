"""Responses, conversations and stored chat completions: what outlives a request, and whose it is.

The JSON of items and bodies is text here, as the API returns it. Knows nothing of its fields, HTTP or SQL.

A response is `queued` (background only), `in_progress`, and ends as `completed`, `incomplete`, `failed` or `cancelled`.
"""

import msgspec

ENDED = ("completed", "incomplete", "failed", "cancelled")
"""The statuses with which a response ends."""


class Item(msgspec.Struct, frozen=True):
    """One item of a response or conversation: a message, a call, a result, reasoning. `body`: its JSON."""

    id: str
    body: str


class ResponseEvent(msgspec.Struct, frozen=True):
    """One event of a response's stream. `number`: its sequence number; `type` and `body` (JSON) as they are sent."""

    number: int
    type: str
    body: str


class StoredResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A response of a project. Times are seconds since 1970; `expires_at` None: it is kept until it is deleted.

    `previous_id`: the response that it continues; `conversation_id`: the conversation that it belongs to. At most one
    is set. `input`: the items of its own request, without those of earlier responses; `output`: those that the model
    wrote. `body`: the JSON of the response, whose `output` is empty. `is_background`: no connection waits for it;
    `request` is then the JSON of its request, and `key` the id of the stored key that created it (empty: none).
    """

    id: str
    project: str
    status: str
    created_at: int
    body: str
    expires_at: int | None = None
    previous_id: str | None = None
    conversation_id: str | None = None
    input: tuple[Item, ...] = ()
    output: tuple[Item, ...] = ()
    is_background: bool = False
    key: str = ""
    request: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it will change."""
        return self.status in ENDED


class ResponseEnd(msgspec.Struct, frozen=True):
    """How a background response ended: the rest of its events, the last of which says so, and what is stored of it."""

    status: str
    body: str
    output: tuple[Item, ...] = ()
    events: tuple[ResponseEvent, ...] = ()


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation of a project, to which responses add their items. It is kept until it is deleted."""

    id: str
    project: str
    created_at: int
    metadata: dict[str, str] = {}


class StoredCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A chat completion that its caller asked to store. `messages`: the JSON of its request's messages, in order.

    `body`: the JSON of the answer, without `metadata`. `model` as the caller named it.
    """

    id: str
    project: str
    created_at: int
    model: str
    body: str
    messages: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    expires_at: int | None = None
