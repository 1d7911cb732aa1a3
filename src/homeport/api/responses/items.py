"""The items of input: JSON to checked structs, and structs to the items that are stored and returned.

Knows nothing of templates, of storage, or of whether calls and outputs belong together: `history` checks that.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import structs

from homeport.api import json_codec
from homeport.api.responses import item_schema
from homeport.api.responses.content_parts import check_images_given, is_left_out
from homeport.api.responses.item_checks import complete
from homeport.api.responses.item_schema import CompactionTrigger, InputItem, ItemReference, MessageItem
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, NotFound, excerpt
from homeport.domain.responses import Item

MAX_ITEMS = 8192
"""The maximum number of items of one request: as many as a chat's 2048 messages can become."""

ITEM_TYPES: Mapping[str, type[msgspec.Struct]] = {
    "message": MessageItem,
    "reasoning": item_schema.ReasoningItem,
    "function_call": item_schema.FunctionCall,
    "function_call_output": item_schema.FunctionCallOutput,
    "custom_tool_call": item_schema.CustomCall,
    "custom_tool_call_output": item_schema.CustomCallOutput,
    "local_shell_call": item_schema.LocalShellCall,
    "local_shell_call_output": item_schema.LocalShellCallOutput,
    "shell_call": item_schema.ShellCall,
    "shell_call_output": item_schema.ShellCallOutput,
    "apply_patch_call": item_schema.PatchCall,
    "apply_patch_call_output": item_schema.PatchCallOutput,
    "compaction": item_schema.Compaction,
    "compaction_trigger": item_schema.CompactionTrigger,
    "web_search_call": item_schema.WebSearchCall,
    "image_generation_call": item_schema.ImageGenerationCall,
    "file_search_call": item_schema.FileSearchCall,
    "mcp_list_tools": item_schema.McpListTools,
    "mcp_call": item_schema.McpCall,
    "mcp_approval_request": item_schema.McpApprovalRequest,
    "mcp_approval_response": item_schema.McpApprovalResponse,
    "additional_tools": item_schema.AdditionalTools,
    "item_reference": ItemReference,
}
"""The item types that are served."""

UNSERVED_TYPES = frozenset(
    {
        "computer_call",
        "computer_call_output",
        "code_interpreter_call",
        "tool_search_call",
        "tool_search_output",
        "program",
        "program_output",
    }
)
"""The other item types of OpenAI's API."""

_FORMER_TYPES = {"compaction_summary": "compaction"}
_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "local_shell_call": "lsh",
    "local_shell_call_output": "lsho",
    "shell_call": "sh",
    "shell_call_output": "sho",
    "apply_patch_call": "apc",
    "apply_patch_call_output": "apco",
    "compaction": "cmp",
    "web_search_call": "ws",
    "image_generation_call": "ig",
    "file_search_call": "fs",
    "mcp_list_tools": "mcpl",
    "mcp_call": "mcp",
    "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcpa",
    "additional_tools": "at",
}


def random_id(prefix: str, _index: int) -> str:
    """Return an id that no other item has. `prefix` is that of the item's type, such as `msg`."""
    return f"{prefix}_{uuid.uuid4().hex}"


class _Head(msgspec.Struct):
    """The fields that identify an item's type."""

    type: str | None = None
    role: Any = None
    id: Any = None


def read_input(value: str | Sequence[msgspec.Raw], place: str = "input") -> list[InputItem]:
    """Return input as checked items, complete except for missing ids. A string is a message of the user.

    Raises InvalidRequest naming item and field.
    """
    if isinstance(value, str):
        return [complete(MessageItem(role="user", content=value), place)]
    validation.check_items(place, value, MAX_ITEMS)
    return [_read(each, f"{place}[{at}]") for at, each in enumerate(value)]


def resolve_references(
    items: Sequence[InputItem], find: Callable[[Sequence[str]], Iterable[Item]], place: str = "input"
) -> list[InputItem]:
    """Replace each `item_reference` by the stored item with its id, and add the images that a message leaves out.

    `find` returns those of the items with these ids that exist; it is called once, and only if something refers to
    them. Raises NotFound, and InvalidRequest for an image that no stored item has.
    """
    ids = [item.id for item in items if isinstance(item, ItemReference) or _leaves_images_out(item)]
    if not ids:
        return list(items)
    found = {item.id: item for item in find([each for each in ids if each is not None])}
    return [_resolve(item, found, f"{place}[{at}]", place) for at, item in enumerate(items)]


def check_whole(items: Sequence[InputItem], place: str) -> None:
    """Raise InvalidRequest for a message that leaves an image out."""
    for at, item in enumerate(items):
        if isinstance(item, MessageItem):
            check_images_given(item.parts, f"{place}[{at}].content")


def to_stored(
    items: Sequence[InputItem], place: str = "input", new_id: Callable[[str, int], str] = random_id
) -> tuple[Item, ...]:
    """Return items as they are stored and returned. Those without an id get one from `new_id`.

    `new_id` receives the prefix of the item's type, such as `msg`, and the item's index.

    Raises InvalidRequest for an id that two items have, and ValueError for what only stands for other items.
    """
    stored = []
    seen: set[str] = set()
    for at, item in enumerate(items):
        if isinstance(item, ItemReference | CompactionTrigger):
            raise ValueError("a reference is stored as the item that it stands for, and a trigger not at all")
        item_id = item.id or new_id(_PREFIXES[item.type or "message"], at)
        if item_id in seen:
            raise duplicate_id(item_id, f"{place}[{at}]")
        seen.add(item_id)
        whole = item if item.id else structs.replace(item, id=item_id)
        stored.append(Item(item_id, json_codec.encode(whole).decode()))
    return tuple(stored)


def from_stored(items: Sequence[Item]) -> list[InputItem]:
    """Return stored items as structs. They were checked before they were stored, and are not checked again."""
    return [_decode(item.body, "input") for item in items]


def duplicate_id(item_id: str, place: str) -> InvalidRequest:
    """Make the error for an item whose id another item has."""
    return InvalidRequest(
        f"Duplicate item found with id {excerpt(item_id)}. Remove duplicate items from your input and try again.",
        param=f"{place}.id",
        code="invalid_value",
    )


def _leaves_images_out(item: InputItem) -> bool:
    return isinstance(item, MessageItem) and any(map(is_left_out, item.parts))


def _resolve(item: InputItem, found: Mapping[str, Item], place: str, whole: str) -> InputItem:
    """Return an item, or what it refers to. `whole` names the input."""
    if isinstance(item, ItemReference):
        if item.id not in found:
            raise NotFound(
                f"Item with id '{excerpt(item.id)}' not found. Items are not kept when 'store' is false: send the "
                "item itself, or remove it from your input.",
                param=whole,
            )
        return from_stored([found[item.id]])[0]
    if not isinstance(item, MessageItem) or not _leaves_images_out(item):
        return item
    own = found.get(item.id or "")
    stored = from_stored([own])[0] if own else None
    images = dict(enumerate(stored.parts)) if isinstance(stored, MessageItem) else {}
    parts = tuple(images.get(at, part) if is_left_out(part) else part for at, part in enumerate(item.parts))
    check_images_given(parts, f"{place}.content")
    return structs.replace(item, content=parts)


def _read(raw: msgspec.Raw, place: str) -> InputItem:
    return complete(_decode(raw, place), place)


def _decode(source: msgspec.Raw | str, place: str) -> InputItem:
    head = json_codec.decode_part(source, _Head, place)
    kind = head.type
    if kind is None:
        kind = "item_reference" if head.role is None and head.id is not None else "message"
    kind = _FORMER_TYPES.get(kind, kind)
    if kind in UNSERVED_TYPES:
        raise validation.unsupported_field(f"{place}.type", f"Items of type '{kind}' are not served.")
    validation.check_choice(f"{place}.type", kind, tuple(ITEM_TYPES))
    return cast(InputItem, json_codec.decode_part(source, ITEM_TYPES[kind], place))
