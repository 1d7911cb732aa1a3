"""Reads the tools that a request declares, in its body and in the items of its input.

Hosted tools are read first, because that may take time. Knows nothing of what they do.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request

from homeport.api import json_codec
from homeport.api.request_body import run_in_thread_if_large
from homeport.api.responses.file_search import read_file_search
from homeport.api.responses.hosted_tools import HostedDeclaration, HostedOffer, HostedReader
from homeport.api.responses.image_generation import read_image_generation
from homeport.api.responses.mcp_declaration import check_labels
from homeport.api.responses.mcp_offer import check_approvals, read_mcp
from homeport.api.responses.prompt_reader import PromptContent
from homeport.api.responses.tool_schema import ToolHead
from homeport.api.responses.tools import ResponseTools, to_tools
from homeport.domain import validation
from homeport.domain.tool_fields import MAX_TOOLS

READERS: Mapping[str, HostedReader] = {
    "image_generation": read_image_generation,
    "file_search": read_file_search,
    "mcp": read_mcp,
}
"""What reads hosted tools, by their types."""


class DeclaredTools(NamedTuple):
    """The fields of a body that declare tools."""

    tools: Sequence[msgspec.Raw] | None
    choice: Any = None
    is_parallel: bool | None = None
    include: Sequence[str] = ()


async def read_tools(
    request: Request, declared: DeclaredTools, content: PromptContent, *, is_streamed: bool = False
) -> ResponseTools:
    """Read the tools of a body, and those of the items of `content`. `is_streamed`: whether events are sent.

    Raises InvalidRequest naming the field, and what the reader of a hosted tool raises.
    """
    tools = declared.tools or ()
    validation.check_items("tools", tools, MAX_TOOLS)
    places = [*((f"tools[{at}]", raw) for at, raw in enumerate(tools)), *content.tools]
    check_approvals(content.history, check_labels(places))
    offers: list[HostedOffer] = []
    for place, raw in places:
        kind = json_codec.decode_part(raw, ToolHead, place).type
        if (reader := READERS.get(kind or "")) is not None:
            offers.append(
                await reader(request, HostedDeclaration(place, raw, content.history, is_streamed, declared.include))
            )
    return await run_in_thread_if_large(
        request, to_tools, tools, declared.choice, declared.is_parallel, content.tools, offers
    )
