"""What a retrieval adds to stored items, and what it leaves out. Knows nothing of HTTP or of storage."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from homeport.api import json_codec
from homeport.domain.responses import Item

IMAGE_URLS = "message.input_image.image_url"
"""Asks for the URLs of the images in messages, which lists of items leave out otherwise."""

SEARCH_RESULTS = "file_search_call.results"
"""Asks for the results of file searches, which a response leaves out otherwise."""

_REASONING = '"reasoning"'
_IMAGE = '"input_image"'


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


def with_images_asked_for(items: Sequence[Item], include: Sequence[str]) -> tuple[Item, ...]:
    """Return the items; `image_url` of the images in messages is null unless `include` asks for it."""
    if IMAGE_URLS in include:
        return tuple(items)
    return tuple(_without_images(item) if _IMAGE in item.body else item for item in items)


def _without_images(item: Item) -> Item:
    fields: dict[str, Any] = msgspec.json.decode(item.body)
    if fields.get("type") != "message":
        return item
    for part in fields["content"]:
        if part["type"] == "input_image" and "image_url" in part:
            part["image_url"] = None
    return Item(item.id, json_codec.encode(fields).decode())
