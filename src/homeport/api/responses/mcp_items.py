"""The items of MCP servers in an output, and the steps in which they are made. Knows nothing of connections."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from homeport.api.responses.events import CallProgressed
from homeport.api.responses.hosted_tools import HostedStep, ItemFinished, ItemPlace, ItemStarted
from homeport.domain.ports.mcp import McpTool

LIST_PREFIX, CALL_PREFIX, REQUEST_PREFIX = "mcpl", "mcp", "mcpr"


class ListedTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool of a server."""

    name: str
    description: str | None
    input_schema: Mapping[str, Any]
    annotations: Mapping[str, Any] | None


class OutputListTools(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_list_tools"):
    """The tools of a server."""

    id: str
    server_label: str
    tools: Sequence[ListedTool] = ()
    error: str | None = None


class OutputMcpCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_call"):
    """A call, and its result or error. `arguments` are empty until they are complete."""

    id: str
    status: str
    server_label: str
    name: str
    arguments: str = ""
    approval_request_id: str | None = None
    output: str | None = None
    error: Mapping[str, Any] | None = None


class OutputApprovalRequest(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mcp_approval_request"):
    """A call that waits for the caller's approval."""

    id: str
    server_label: str
    name: str
    arguments: str


def list_steps(label: str, tools: Sequence[McpTool], place: ItemPlace) -> Iterator[HostedStep]:
    """Yield the steps of a list of tools, which is known already."""
    item_id = place.item_id(LIST_PREFIX)
    yield ItemStarted(OutputListTools(id=item_id, server_label=label))
    for name in ("in_progress", "completed"):
        yield CallProgressed(type=f"response.mcp_list_tools.{name}", item_id=item_id, output_index=place.index)
    listed = [
        ListedTool(
            name=tool.name,
            description=tool.description,
            input_schema=tool.input_schema,
            annotations=tool.annotations,
        )
        for tool in tools
    ]
    yield ItemFinished(OutputListTools(id=item_id, server_label=label, tools=listed))


async def approval_steps(label: str, name: str, arguments: str, place: ItemPlace) -> AsyncGenerator[HostedStep, None]:
    """Yield the steps of a request for approval, with which the response ends."""
    item = OutputApprovalRequest(id=place.item_id(REQUEST_PREFIX), server_label=label, name=name, arguments=arguments)
    yield ItemStarted(item)
    yield ItemFinished(item, needs_caller=True)
