"""What a model reads of the items of hosted tools: a call with its result, made of the item alone.

Knows nothing of how calls are executed, or of messages.
"""

import msgspec

from homeport.api.responses.hosted_exchange import HostedExchange
from homeport.api.responses.item_schema import HostedItem, ImageGenerationCall, McpCall
from homeport.api.responses.mcp_history import call_exchange

IMAGE_FUNCTION = "image_generation"
"""The function that a model calls to have an image made. It has one parameter, `prompt`."""


def to_exchange(item: HostedItem) -> HostedExchange | None:
    """Return what the model reads of an item; None: nothing."""
    if isinstance(item, McpCall):
        return call_exchange(item)
    return _image_exchange(item) if isinstance(item, ImageGenerationCall) else None


def _image_exchange(item: ImageGenerationCall) -> HostedExchange:
    """Text models see no images: they read that one was made."""
    arguments = msgspec.json.encode({"prompt": item.revised_prompt or ""}).decode()
    if item.status == "failed":
        result = f"The image could not be made. {item.error or ''}".rstrip()
    else:
        result = "The image was made and is shown to the user."
    return HostedExchange(IMAGE_FUNCTION, arguments, result)
