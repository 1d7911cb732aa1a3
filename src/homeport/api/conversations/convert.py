"""From the bodies of conversations to the items to store, checks included. Knows nothing of storage."""

from collections.abc import Mapping, Sequence

import msgspec

from homeport.api.responses.item_schema import CompactionTrigger, ItemReference
from homeport.api.responses.items import read_input, to_stored
from homeport.domain import validation
from homeport.domain.responses import Item

MAX_NEW_ITEMS = 20


def to_items(raw: Sequence[msgspec.Raw] | None, minimum: int = 0) -> tuple[Item, ...]:
    """Check new items and return them as they are stored. Raises InvalidRequest naming the item and its field."""
    validation.check_items("items", raw, MAX_NEW_ITEMS, minimum)
    items = read_input(raw or (), "items")
    for at, item in enumerate(items):
        if isinstance(item, ItemReference | CompactionTrigger):
            what = "references to them" if isinstance(item, ItemReference) else "requests to compact them"
            raise validation.unsupported_field(f"items[{at}].type", f"A conversation holds items, not {what}.")
    return to_stored(items, "items")


def to_metadata(metadata: Mapping[str, str] | None) -> Mapping[str, str]:
    """Check metadata and return its pairs. Raises InvalidRequest."""
    validation.check_metadata("metadata", metadata)
    return metadata or {}
