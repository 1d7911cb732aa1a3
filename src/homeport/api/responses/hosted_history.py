"""What a model reads of the items of hosted tools: a call with its result, made of the item alone.

Knows nothing of how calls are executed, or of messages.
"""

import msgspec

from homeport.api.responses.hosted_exchange import HostedExchange
from homeport.api.responses.item_schema import FileSearchCall, HostedItem, ImageGenerationCall, McpCall
from homeport.api.responses.mcp_history import call_exchange

IMAGE_FUNCTION = "image_generation"
"""The function that a model calls to have an image made. It has one parameter, `prompt`."""


SEARCH_FUNCTION = "file_search"
"""The function that a model calls to search vector stores. It has one parameter, `query`."""


def to_exchange(item: HostedItem) -> HostedExchange | None:
    """Return what the model reads of an item; None: nothing."""
    if isinstance(item, McpCall):
        return call_exchange(item)
    if isinstance(item, FileSearchCall):
        return _search_exchange(item)
    return _image_exchange(item) if isinstance(item, ImageGenerationCall) else None


def _image_exchange(item: ImageGenerationCall) -> HostedExchange:
    """Text models see no images: they read that one was made."""
    arguments = msgspec.json.encode({"prompt": item.revised_prompt or ""}).decode()
    if item.status == "failed":
        result = f"The image could not be made. {item.error or ''}".rstrip()
    else:
        result = "The image was made and is shown to the user."
    return HostedExchange(IMAGE_FUNCTION, arguments, result)


def _search_exchange(item: FileSearchCall) -> HostedExchange:
    """Return a search with what was found, each chunk after its number and the name of its file."""
    arguments = msgspec.json.encode({"query": item.queries[0] if item.queries else ""}).decode()
    if item.status == "failed":
        result = f"The files could not be searched. {item.error or ''}".rstrip()
    elif not isinstance(item.results, tuple):
        result = "The results of this search are not kept. Search again if they are needed."
    elif not item.results:
        result = "Nothing was found."
    else:
        found = (f"[{at}] {each.filename}\n{each.text}" for at, each in enumerate(item.results, 1))
        # The request is last, because small models follow what they read last.
        result = "\n\n".join(found) + "\n\nAnswer the question in a sentence, from these parts of files."
    return HostedExchange(SEARCH_FUNCTION, arguments, result)
