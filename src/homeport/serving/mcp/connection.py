"""One connection to an MCP server: by streamable HTTP, or by the older HTTP with SSE if the server knows only that.

A task of its own holds the connection open, because it must end in the task that opened it. Credentials are in the
requests only: the libraries' loggers, which write URLs and results, are silenced.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, Implementation, Tool

from homeport.domain.allowed_hosts import Target
from homeport.domain.errors import excerpt
from homeport.domain.ports.mcp import McpFailed, McpResult, McpServer, McpTool
from homeport.serving.mcp.limits import McpLimits
from homeport.serving.mcp.results import to_result
from homeport.serving.pinned_transport import PinnedTransport

T = TypeVar("T")

_CONNECT_S = 10.0
_MESSAGE_CHARS = 1000
_NOT_STREAMABLE = (400, 404, 405)
"""The statuses with which servers of the older protocol answer a POST to the path of their events."""
_FOR_STATUSES = ("Server returned an error response", "Session terminated", "Not Found")
"""The texts that stand for the status of a response without a JSON-RPC error."""
_CLIENT = Implementation(name="homeport", version="1")

_log = logging.getLogger("homeport.mcp")
for _name in ("mcp", "httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class Connection:
    """A connection that opens at its first use. `target`: what the server's URL leads to, which may be reached."""

    def __init__(self, server: McpServer, target: Target, limits: McpLimits) -> None:
        self._server = server
        self._limits = limits
        self._target = target
        self._transport = PinnedTransport(target, limits.response_bytes, _to_transport_failure)
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the connection has ended."""
        return self._closing.is_set() or (self._owner is not None and self._owner.done())

    async def list_tools(self) -> Sequence[McpTool]:
        """Return the server's tools. Raises McpFailed, also for too many."""
        return await self._run(self._list, self._limits.list_s)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> McpResult:
        """Call a tool. Raises McpFailed."""

        async def call(client: Client) -> McpResult:
            return to_result(await client.call_tool(name, dict(arguments)), self._limits.text_chars)

        return await self._run(call, self._limits.call_s)

    async def close(self) -> None:
        """End the connection, within some seconds. Safe to call twice."""
        self._closing.set()
        owner = self._owner
        if owner is None:
            return
        if not self._ready.done():
            owner.cancel()
        while not owner.done():  # a server may delay each step of the end
            await asyncio.wait((owner,), timeout=self._limits.close_s)
            owner.cancel()

    async def _list(self, client: Client) -> Sequence[McpTool]:
        found: list[McpTool] = []
        cursor: str | None = None
        while True:
            page = await client.list_tools(cursor=cursor)
            found.extend(map(_to_tool, page.tools))
            if len(found) > self._limits.tools or (not page.tools and page.next_cursor):
                raise McpFailed(f"It lists more than {self._limits.tools} tools, or pages without tools.")
            cursor = page.next_cursor
            if not cursor:
                return found

    async def _run(self, operation: Callable[[Client], Awaitable[T]], timeout_s: float) -> T:
        """Do one operation on the open connection. Raises McpFailed with the most precise reason that is known."""
        try:
            async with asyncio.timeout(timeout_s):
                client = await self._open()
                self._transport.failure = None
                return await operation(client)
        except TimeoutError:
            await self.close()
            raise McpFailed(f"It did not respond within {timeout_s:g} seconds.", code=REQUEST_TIMEOUT) from None
        except McpFailed:
            raise
        except Exception as error:
            failure = self._transport.failure
            is_broken = not isinstance(error, MCPError) or error.code == CONNECTION_CLOSED
            if is_broken or (failure is not None and failure.http_status is None):
                await self.close()
            elif isinstance(error, MCPError) and error.message not in _FOR_STATUSES:
                failure = None  # the response of that status has a reason of its own
            failure = failure or _to_failed(error)
            place = (self._target.host, self._target.port)
            _log.info("an MCP server at %s:%d failed: %d, HTTP %s", *place, failure.code, failure.http_status)
            raise failure from error

    async def _open(self) -> Client:
        if self._owner is None:
            self._owner = asyncio.create_task(self._hold())
        await asyncio.wait((self._owner, self._ready), return_when=asyncio.FIRST_COMPLETED)
        if self._owner.done():
            raise self._transport.failure or McpFailed("The connection has ended.")
        return self._ready.result()

    async def _hold(self) -> None:
        """Hold the connection open until it is closed, or breaks: `failure` of the transport then says why."""
        try:
            await self._hold_by(self._streamable())
        except Exception as error:
            failure = self._transport.failure
            if not self._ready.done() and failure is not None and failure.http_status in _NOT_STREAMABLE:
                await self._hold_by_events()
            else:
                self._transport.failure = failure or _to_failed(error)
        finally:
            await self._transport.aclose()

    async def _hold_by_events(self) -> None:
        first, self._transport.failure = self._transport.failure, None
        try:
            await self._hold_by(self._events())
        except Exception as error:
            # What it says of the protocol of today is the better reason.
            self._transport.failure = self._transport.failure or _to_failed(error) if self._ready.done() else first

    async def _hold_by(self, transport: AbstractAsyncContextManager[Any]) -> None:
        async with Client(transport, cache=None, client_info=_CLIENT) as client:
            self._ready.set_result(client)
            await self._closing.wait()

    def _streamable(self) -> AbstractAsyncContextManager[Any]:
        http = self._http_client()
        return streamable_http_client(
            self._server.url, http_client=http, max_sse_event_size=self._limits.response_bytes
        )

    def _events(self) -> AbstractAsyncContextManager[Any]:
        return sse_client(self._server.url, httpx_client_factory=self._http_client)

    def _http_client(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        """Make a client that reaches this server only, without proxies. An operation's own time bounds its reading."""
        del timeout, auth
        return httpx2.AsyncClient(
            transport=self._transport,
            headers={**self._server.headers, **(headers or {}), "accept-encoding": "identity"},
            timeout=httpx2.Timeout(_CONNECT_S, read=None),
            trust_env=False,
        )


def _to_tool(tool: Tool) -> McpTool:
    hints = tool.annotations
    return McpTool(
        tool.name,
        tool.description,
        tool.input_schema,
        hints.model_dump(by_alias=True, exclude_none=True) if hints is not None else None,
    )


def _to_transport_failure(message: str, http_status: int | None) -> McpFailed:
    return McpFailed(message, http_status=http_status)


def _to_failed(error: Exception) -> McpFailed:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, MCPError):
        return McpFailed(excerpt(error.message, _MESSAGE_CHARS), code=error.code)
    return McpFailed("What it sends is not understood.")
