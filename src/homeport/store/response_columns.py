"""The columns in which responses, conversations and stored chat completions hold JSON, as the API returned it.

Texts within texts are not escaped again: an item is stored as `[id, body]`, where `body` is JSON. Knows no table.
"""

from collections.abc import Iterable, Sequence

import msgspec

from homeport.domain.responses import Item, ResponseEvent

MAX_READ_BYTES = 256 * 2**20
"""The maximum size of a chain or conversation: a response reads it completely."""

_ITEMS = msgspec.json.Decoder(list[tuple[str, msgspec.Raw]])
_TEXTS = msgspec.json.Decoder(list[msgspec.Raw])
_EVENTS = msgspec.json.Decoder(list[tuple[int, str, msgspec.Raw]])


def size_bytes(*texts: str) -> int:
    """Return how many bytes texts occupy."""
    return sum(len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")) for text in texts)


def write_items(items: Iterable[Item]) -> str:
    """Return the text of items."""
    return msgspec.json.encode([(item.id, msgspec.Raw(item.body.encode())) for item in items]).decode()


def read_items(text: str) -> tuple[Item, ...]:
    """Return the items of a text. Raises MsgspecError for a damaged one."""
    return tuple(Item(item_id, _text(body)) for item_id, body in _ITEMS.decode(text))


def write_texts(texts: Iterable[str]) -> str:
    """Return the text of JSON texts."""
    return msgspec.json.encode([msgspec.Raw(text.encode()) for text in texts]).decode()


def read_texts(text: str) -> tuple[str, ...]:
    """Return the JSON texts of a text. Raises MsgspecError for a damaged one."""
    return tuple(_text(each) for each in _TEXTS.decode(text))


def write_events(events: Sequence[ResponseEvent]) -> str:
    """Return the text of events."""
    rows = [(event.number, event.type, msgspec.Raw(event.body.encode())) for event in events]
    return msgspec.json.encode(rows).decode()


def read_events(text: str) -> Sequence[ResponseEvent]:
    """Return the events of a text. Raises MsgspecError for a damaged one."""
    return [ResponseEvent(number, kind, _text(body)) for number, kind, body in _EVENTS.decode(text)]


def set_status(body: str, status: str) -> str:
    """Return the JSON of a response with another status. Raises MsgspecError for a damaged one."""
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**fields, "status": status}).decode()


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()
