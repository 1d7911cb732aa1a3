"""What a declared MCP server brings into a response: its tools as functions, its list as an item, its approved calls.

The tools of a server are listed once: later responses find them in their history. Knows nothing of how calls are made.
"""

import dataclasses
import functools
from collections.abc import Collection, Iterable, Iterator, Sequence

from starlette.requests import Request

from homeport.api.responses.hosted_tools import HostedDeclaration, HostedFunction, HostedOffer
from homeport.api.responses.item_schema import InputItem, McpListTools
from homeport.api.responses.mcp_calls import McpCalls
from homeport.api.responses.mcp_declaration import McpDeclaration, read_declaration
from homeport.api.responses.mcp_history import read_approvals
from homeport.api.responses.mcp_items import list_steps
from homeport.api.responses.plan import CallTarget
from homeport.api.responses.tool_names import MAX_MCP_NAME_CHARS, mcp_name
from homeport.api.services import services
from homeport.api.streaming import run_until_disconnect
from homeport.domain.errors import InvalidRequest, ToolServerFailed, excerpt
from homeport.domain.format_fields import check_depth, to_schema_text
from homeport.domain.ports.mcp import McpClient, McpFailed, McpSession, McpTool
from homeport.domain.tool_fields import MAX_TOOLS
from homeport.domain.tools import Tool

MISSING = "it needs the extra `mcp`, which is not installed: pip install 'homeport[mcp]'."
MAX_APPROVED = 64
"""The maximum number of approved calls that one response makes."""
_ANY_OBJECT = {"type": "object"}


async def read_mcp(request: Request, declared: HostedDeclaration) -> HostedOffer:
    """Check a declared server and list its tools, unless the history has them. Implements `HostedReader`.

    Raises InvalidRequest naming the field, ToolServerFailed if the tools cannot be listed, and ClientDisconnected.
    """
    declaration = read_declaration(declared.raw, declared.place)
    label = declaration.server.label
    client = _client(request, declaration, declared.place)
    session = client.open(declaration.server)
    known = _listed_before(declared.history, label)
    if known is None:
        found = await run_until_disconnect(request.receive, _list(session, label))
    else:
        found = known
    tools = list(_usable(found, declaration))
    if len(tools) > MAX_TOOLS:
        raise InvalidRequest(
            f"The MCP server has {len(tools)} tools, and at most {MAX_TOOLS} can be offered: choose some by "
            f"'{declared.place}.allowed_tools'.",
            param=f"{declared.place}.allowed_tools",
            code="array_above_max_length",
        )
    calls = McpCalls(declaration, tools, session)
    approved = read_approvals(declared.history).approved(label)
    return HostedOffer(
        [_to_function(tool, declaration, declared.place, is_first=tool is tools[0]) for tool in tools],
        calls,
        listed=[functools.partial(list_steps, label, tools)] if known is None else (),
        pending=[functools.partial(calls.run_approved, each) for each in approved],
        close=session.close,
    )


def check_approvals(history: Sequence[InputItem], labels: Collection[str]) -> None:
    """Check the approved calls: their number, and that their servers are declared. Raises InvalidRequest.

    `labels`: those of the declared servers.
    """
    approved = list(read_approvals(history).approved())
    if len(approved) > MAX_APPROVED:
        raise InvalidRequest(
            f"The input approves {len(approved)} calls, and at most {MAX_APPROVED} are made in one response.",
            param="input",
            code="array_above_max_length",
        )
    for request in approved:
        if request.server_label not in labels:
            raise InvalidRequest(
                f"The approved call of '{excerpt(request.name, 100)}' needs its MCP server "
                f"'{excerpt(request.server_label, 100)}' in 'tools'.",
                param="tools",
                code="invalid_value",
            )


def _client(request: Request, declaration: McpDeclaration, place: str) -> McpClient:
    """Return what talks to servers. Raises InvalidRequest if it may not talk to this one."""
    client = services(request).mcp
    if client is None or not client.is_installed:
        raise InvalidRequest(
            f"Tools of type 'mcp' are not served: {MISSING}", param=f"{place}.type", code="missing_extra"
        )
    try:
        client.check(declaration.server.url)
    except ValueError as error:
        raise InvalidRequest(
            f"Invalid '{place}.server_url': {error}. The hosts that may be reached are those of the setting "
            "HOMEPORT_MCP_HOSTS.",
            param=f"{place}.server_url",
            code="invalid_value",
        ) from error
    return client


async def _list(session: McpSession, label: str) -> Sequence[McpTool]:
    try:
        return await session.list_tools()
    except McpFailed as failure:
        raise ToolServerFailed(
            f"Error retrieving tool list from MCP server: '{label}'. {failure.message}",
            param="tools",
            code="connection_error" if failure.http_status is None else "http_error",
        ) from failure
    finally:
        await session.close()


def _listed_before(history: Sequence[InputItem], label: str) -> Sequence[McpTool] | None:
    """Return the tools of the last list of a server in a history; None: there is none."""
    for item in reversed(history):
        if isinstance(item, McpListTools) and item.server_label == label and item.error is None:
            return [
                McpTool(tool.name, tool.description or None, tool.input_schema, tool.annotations or None)
                for tool in item.tools
            ]
    return None


def _usable(tools: Iterable[McpTool], declaration: McpDeclaration) -> Iterator[McpTool]:
    """Yield the tools that the request allows, each name once. What is no schema of objects becomes any object."""
    names: set[str] = set()
    for tool in tools:
        if tool.name not in names and 0 < len(tool.name) <= MAX_MCP_NAME_CHARS and declaration.allowed.matches(tool):
            names.add(tool.name)
            yield tool if _has_schema(tool) else dataclasses.replace(tool, input_schema=_ANY_OBJECT, annotations=None)


def _to_function(tool: McpTool, declaration: McpDeclaration, place: str, *, is_first: bool) -> HostedFunction:
    """Return a tool as a function. The server's description is that of its first tool too: models know no servers."""
    label = declaration.server.label
    description = tool.description or ""
    if is_first and declaration.description:
        description = f"{label}: {declaration.description}\n\n{description}".rstrip()
    function = Tool(
        mcp_name(tool.name, label),
        description,
        to_schema_text({**_ANY_OBJECT, **tool.input_schema}, place),
        param=place,
    )
    return HostedFunction(function, CallTarget("mcp", tool.name, label))


def _has_schema(tool: McpTool) -> bool:
    """Whether the schema of a tool's arguments describes objects, within the limits of schemas."""
    try:
        to_schema_text(tool.input_schema, "tools")
        check_depth(tool.annotations or {}, "tools")
    except InvalidRequest:
        return False
    return bool(tool.input_schema.get("type", "object") == "object")
