"""The ids of responses and of their items. An item's id contains its response's, so it is found by its id."""

import re
import uuid

_ITEM = re.compile(r"[a-z]+_([0-9a-f]{32})i?[0-9a-f]{4,8}")


def new_response_id() -> str:
    """Return the id of a new response."""
    return f"resp_{uuid.uuid4().hex}"


def output_item_id(prefix: str, response_id: str, index: int) -> str:
    """Return the id of an output item. `prefix` is that of its type, such as `msg`; `index` counts from 0."""
    return f"{prefix}_{response_id.removeprefix('resp_')}{index:04x}"


def input_item_id(prefix: str, response_id: str, index: int) -> str:
    """Return the id of an item of the input that came without one; arguments as of `output_item_id`."""
    return f"{prefix}_{response_id.removeprefix('resp_')}i{index:04x}"


def response_id_of(item_id: str) -> str | None:
    """Return the id of the response whose input or output has this item; None if the id is not one of these."""
    match = _ITEM.fullmatch(item_id)
    return f"resp_{match[1]}" if match else None
