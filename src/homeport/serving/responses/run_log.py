"""The events of one background response: numbered without gaps over all runs, and what is stored at the end.

Reads and changes a few fields of the JSON; the rest stays byte for byte as it was sent. Knows nothing of when events
arrive, or of where they are stored.

The first events, `response.created` and `response.queued`, are stored when a response is accepted. A run's own
`response.created` is dropped, and its other events follow on those that are stored.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from homeport.domain.errors import (
    Forbidden,
    HomeportError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    Unauthenticated,
    UnsupportedMediaType,
)
from homeport.domain.responses import Item, ResponseEnd, ResponseEvent, StoredResponse

CREATED, QUEUED, IN_PROGRESS = "response.created", "response.queued", "response.in_progress"
COMPLETED, INCOMPLETE, FAILED = "response.completed", "response.incomplete", "response.failed"
_ITEM_DONE = "response.output_item.done"
_OPENING = (CREATED, QUEUED, IN_PROGRESS)
_ENDS = (COMPLETED, INCOMPLETE, FAILED)
_ACCEPTED_FIELDS = ("id", "created_at", "background", "store")
"""What is the same in the whole life of a response, however often its request runs."""
_INVALID = (InvalidRequest, Unauthenticated, Forbidden, NotFound, PayloadTooLarge, UnsupportedMediaType)
_NULL = msgspec.Raw(b"null")

Fields = dict[str, Any]
"""An object of JSON, whose values are `msgspec.Raw`, or lists of them."""


class _ItemDone(msgspec.Struct):
    item: msgspec.Raw


class _ItemId(msgspec.Struct):
    id: str


def read_fields(text: str | msgspec.Raw) -> Fields:
    """Return the fields of a JSON object, each as its own JSON."""
    return msgspec.json.decode(text, type=dict[str, msgspec.Raw])


def to_raw(value: object) -> msgspec.Raw:
    """Return a value as JSON."""
    return msgspec.Raw(msgspec.json.encode(value))


def with_number(event: ResponseEvent, number: int) -> ResponseEvent:
    """Return an event with another sequence number."""
    if event.number == number:
        return event
    # In a string, a quote is escaped: this text is a field. A nested object may have the same one, but seldom does.
    old = f'"sequence_number":{event.number}'
    found = [end for end in (",", "}") for _ in range(event.body.count(old + end))]
    if len(found) == 1:
        body = event.body.replace(old + found[0], f'"sequence_number":{number}{found[0]}')
    else:
        body = _encode({**read_fields(event.body), "sequence_number": number})
    return ResponseEvent(number, event.type, body)


class RunLog:
    """The events of a response: those that are stored already, then those of this run in `accept`."""

    def __init__(self, response: StoredResponse, stored: Sequence[ResponseEvent]) -> None:
        self._base = read_fields(response.body)
        self._latest = self._base
        self._next = stored[-1].number + 1 if stored else 0
        self._types = {event.type for event in stored}
        self._items: list[Item] = []
        self._last: list[ResponseEvent] = []
        self._end = ""
        for event in stored:
            self._collect(event)

    @property
    def has_begun(self) -> bool:
        """Whether an event of an answer exists, so that no other answer may follow."""
        return not self._types <= set(_OPENING)

    @property
    def is_over(self) -> bool:
        """Whether this run has sent how it ends."""
        return bool(self._end)

    def accept(self, event: ResponseEvent) -> ResponseEvent | None:
        """Return the next event of a run as it is to be stored; None: not now, or not at all.

        Events from the one that ends the response on are stored with the end.
        """
        if event.type == CREATED or (event.type == IN_PROGRESS and IN_PROGRESS in self._types):
            return None
        if event.type == IN_PROGRESS or event.type in _ENDS:
            event = self._with_accepted_fields(event)
        event = with_number(event, self._next)
        self._next += 1
        self._types.add(event.type)
        self._collect(event)
        if event.type in _ENDS:
            self._end = event.type
        if self._end:
            self._last.append(event)
            return None
        return event

    def ended(self) -> ResponseEnd:
        """Return the end that the run has sent."""
        fields = dict(self._latest)
        status = msgspec.json.decode(fields["status"], type=str)
        output = [_to_item(raw) for raw in msgspec.json.decode(fields["output"], type=list[msgspec.Raw])]
        return ResponseEnd(status, _encode({**fields, "output": []}), tuple(output), tuple(self._last))

    def cancelled(self) -> ResponseEnd:
        """Return the end of a response that its caller cancels.

        OpenAI's events have none for it: the last one is `response.incomplete`, with a response that is `cancelled`.
        """
        return self._cut("cancelled", INCOMPLETE, _NULL)

    def failed(self, error: HomeportError) -> ResponseEnd:
        """Return the end of a response that an error ends."""
        return self._cut("failed", FAILED, to_raw({"code": _error_code(error), "message": error.message}))

    def _cut(self, status: str, type: str, error: msgspec.Raw) -> ResponseEnd:
        """Return an end that the run has not sent. The items that were complete are kept."""
        fields = {**self._latest, "status": to_raw(status), "error": error, "output": []}
        body = _encode({**fields, "output": [msgspec.Raw(item.body.encode()) for item in self._items]})
        event = ResponseEvent(self._next, type, end_event(type, self._next, body))
        return ResponseEnd(status, _encode(fields), tuple(self._items), (event,))

    def _collect(self, event: ResponseEvent) -> None:
        """Remember the latest state of the response and its complete items."""
        if event.type == _ITEM_DONE:
            self._items.append(_to_item(msgspec.json.decode(event.body, type=_ItemDone).item))
        elif event.type == IN_PROGRESS or event.type in _ENDS:
            self._latest = read_fields(read_fields(event.body)["response"])

    def _with_accepted_fields(self, event: ResponseEvent) -> ResponseEvent:
        """Give the response in an event the fields of the response that was accepted."""
        fields = read_fields(event.body)
        kept = {name: self._base[name] for name in _ACCEPTED_FIELDS if name in self._base}
        fields["response"] = {**read_fields(fields["response"]), **kept}
        return ResponseEvent(event.number, event.type, _encode(fields))


def end_event(type: str, number: int, response: str) -> str:
    """Return the JSON of an event that ends a response. `response`: its JSON."""
    return _encode({"type": type, "sequence_number": number, "response": msgspec.Raw(response.encode())})


def _to_item(raw: msgspec.Raw) -> Item:
    return Item(msgspec.json.decode(raw, type=_ItemId).id, bytes(raw).decode())


def _encode(fields: Fields) -> str:
    return msgspec.json.encode(fields).decode()


def _error_code(error: HomeportError) -> str:
    """Return OpenAI's code of an error in a response: the specification has few."""
    if isinstance(error, RateLimited):
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, _INVALID) else "server_error"
