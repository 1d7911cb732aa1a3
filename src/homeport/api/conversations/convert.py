"""From the bodies of conversations to the items to store, checks included. Knows nothing of storage."""

from collections.abc import Mapping, Sequence

import msgspec

from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.responses.input_images import KIND, add_image, content_of
from homeport.api.responses.item_schema import CompactionTrigger, InputItem, ItemReference
from homeport.api.responses.items import check_whole, read_input, to_stored
from homeport.domain import validation
from homeport.domain.responses import Item

MAX_NEW_ITEMS = 20


def to_items(raw: Sequence[msgspec.Raw] | None, images: ImageInputs, minimum: int = 0) -> tuple[Item, ...]:
    """Check new items and return them as they are stored. Raises InvalidRequest naming the item and its field.

    `images` checks their images, and keeps none.
    """
    validation.check_items("items", raw, MAX_NEW_ITEMS, minimum)
    items = read_input(raw or (), "items")
    for at, item in enumerate(items):
        if isinstance(item, ItemReference | CompactionTrigger):
            what = "references to them" if isinstance(item, ItemReference) else "requests to compact them"
            raise validation.unsupported_field(f"items[{at}].type", f"A conversation holds items, not {what}.")
    check_whole(items, "items")
    _check_images(items, images)
    return to_stored(items, "items")


def _check_images(items: Sequence[InputItem], images: ImageInputs) -> None:
    """Check the images of items: all but those that are uploaded or remote, which the response that reads them checks.

    The URLs of remote ones must be allowed.
    """
    added = [
        add_image(images, part, f"{place}[{number}]")
        for at, item in enumerate(items)
        for place, parts in content_of(item, f"items[{at}]")
        for number, part in enumerate(parts)
        if part.type == KIND
    ]
    images.select(added, "items")
    images.check_sent()


def to_metadata(metadata: Mapping[str, str] | None) -> Mapping[str, str]:
    """Check metadata and return its pairs. Raises InvalidRequest."""
    validation.check_metadata("metadata", metadata)
    return metadata or {}
