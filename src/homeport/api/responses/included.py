"""What a retrieval adds to stored items. Knows nothing of HTTP or of storage."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from homeport.api import json_codec
from homeport.domain.responses import Item

_REASONING = '"reasoning"'


class _Text(msgspec.Struct):
    text: str = ""


class _ReasoningHead(msgspec.Struct):
    """What is read of an item that may be reasoning."""

    type: str = ""
    summary: Sequence[_Text] = ()
    content: Sequence[_Text] | None = None
    encrypted_content: str | None = None


def with_sealed_reasoning(items: Sequence[Item], seal: Callable[[str], str]) -> tuple[Item, ...]:
    """Return the items, those of reasoning with `encrypted_content`."""
    return tuple(_sealed(item, seal) if _REASONING in item.body else item for item in items)


def _sealed(item: Item, seal: Callable[[str], str]) -> Item:
    head = msgspec.json.decode(item.body, type=_ReasoningHead)
    text = "".join(part.text for part in head.content or head.summary)
    if head.type != "reasoning" or head.encrypted_content is not None or not text:
        return item
    fields: dict[str, Any] = msgspec.json.decode(item.body, type=dict[str, msgspec.Raw])
    fields["encrypted_content"] = seal(text)
    return Item(item.id, json_codec.encode(fields).decode())
