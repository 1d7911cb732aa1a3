"""Executes calls of one MCP server's tools: at once, or after the caller's approval. Implements `HostedTool`.

A call that fails is an item with an error, which the model reads. Knows nothing of where the tools come from.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec

from homeport.api.responses.events import CallProgressed, CallWritten, StreamEvent
from homeport.api.responses.hosted_tools import HostedCall, HostedStep, ItemFinished, ItemPlace, ItemStarted
from homeport.api.responses.item_schema import McpApprovalRequest
from homeport.api.responses.mcp_declaration import McpDeclaration
from homeport.api.responses.mcp_items import CALL_PREFIX, OutputMcpCall, approval_steps
from homeport.domain.ports.mcp import McpFailed, McpResult, McpSession, McpTool

_INVALID_PARAMS, _METHOD_NOT_FOUND = -32602, -32601


class McpCalls:
    """The calls of one declared server, in one response. `tools`: those that may be called."""

    def __init__(self, declaration: McpDeclaration, tools: Sequence[McpTool], session: McpSession) -> None:
        self._declaration = declaration
        self._tools = {tool.name: tool for tool in tools}
        self._session = session

    def run(self, call: HostedCall, place: ItemPlace) -> AsyncGenerator[HostedStep, None]:
        """Execute a call, or ask for its approval."""
        name = call.target.name
        if self._declaration.needs_approval(self._tools[name]):
            return approval_steps(self._declaration.server.label, name, call.arguments, place)
        return self._call(name, call.arguments, None, place)

    def run_approved(self, request: McpApprovalRequest, place: ItemPlace) -> AsyncGenerator[HostedStep, None]:
        """Execute a call that the caller has approved."""
        return self._call(request.name, request.arguments, request.id, place)

    async def _call(
        self, name: str, arguments: str, approval_id: str | None, place: ItemPlace
    ) -> AsyncGenerator[HostedStep, None]:
        item = OutputMcpCall(
            id=place.item_id(CALL_PREFIX),
            status="in_progress",
            server_label=self._declaration.server.label,
            name=name,
            approval_request_id=approval_id,
        )
        yield ItemStarted(item)
        yield _progress(item, place, "in_progress")
        yield CallWritten(
            type="response.mcp_call_arguments.delta", item_id=item.id, output_index=place.index, delta=arguments
        )
        yield CallWritten(
            type="response.mcp_call_arguments.done", item_id=item.id, output_index=place.index, arguments=arguments
        )
        item = msgspec.structs.replace(item, arguments=arguments, **await self._execute(name, arguments))
        yield _progress(item, place, item.status)
        yield ItemFinished(item)

    async def _execute(self, name: str, arguments: str) -> dict[str, Any]:
        """Execute a call, and return the fields of its item that say how it ended."""
        try:
            if name not in self._tools:
                raise McpFailed("The server has no such tool, or it is not allowed.", code=_METHOD_NOT_FOUND)
            result = await self._session.call(name, _decode(arguments))
        except McpFailed as failure:
            return {"status": "failed", "error": _to_error(failure)}
        if result.is_error:
            return {"status": "failed", "error": _to_tool_error(result)}
        return {"status": "completed", "output": result.text}


def _progress(item: OutputMcpCall, place: ItemPlace, status: str) -> StreamEvent:
    return CallProgressed(type=f"response.mcp_call.{status}", item_id=item.id, output_index=place.index)


def _decode(arguments: str) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(arguments or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise McpFailed("The arguments are not a JSON object.", code=_INVALID_PARAMS) from None


def _to_error(failure: McpFailed) -> Mapping[str, Any]:
    if failure.http_status is not None:
        return {"type": "http_error", "code": failure.http_status, "message": failure.message}
    return {"type": "mcp_protocol_error", "code": failure.code, "message": failure.message}


def _to_tool_error(result: McpResult) -> Mapping[str, Any]:
    return {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": result.text}]}
