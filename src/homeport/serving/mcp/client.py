"""The MCP client: which servers may be reached, and connections to them. Imports the extra `mcp` at the first use only.

Knows nothing of responses, and keeps nothing of a server but its connection.
"""

import asyncio
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from homeport.domain.allowed_hosts import AllowedHosts
from homeport.domain.ports.mcp import McpResult, McpServer, McpTool
from homeport.serving.mcp.limits import McpLimits

if TYPE_CHECKING:
    from homeport.serving.mcp.connection import Connection

_CONNECTION = "homeport.serving.mcp.connection"


class HttpMcpClient:
    """Connects to servers over HTTP. `hosts`: those that may be reached. Implements `McpClient`."""

    def __init__(self, hosts: AllowedHosts, limits: McpLimits | None = None) -> None:
        self._hosts = hosts
        self._limits = limits or McpLimits()

    @property
    def is_installed(self) -> bool:
        """Whether the extra is installed."""
        return importlib.util.find_spec("mcp") is not None

    def check(self, url: str) -> None:
        """Check that a server may be reached. Raises ValueError with the reason."""
        self._hosts.find(url)

    def open(self, server: McpServer) -> "HttpMcpSession":
        """Return a connection to a server. Raises ValueError if it may not be reached."""
        self._hosts.find(server.url)
        return HttpMcpSession(server, self._hosts, self._limits)


class HttpMcpSession:
    """A connection that is opened at its first use, and again after it broke. Implements `McpSession`."""

    def __init__(self, server: McpServer, hosts: AllowedHosts, limits: McpLimits) -> None:
        self._server = server
        self._hosts = hosts
        self._limits = limits
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()

    async def list_tools(self) -> Sequence[McpTool]:
        """Return the server's tools. Raises McpFailed."""
        return await (await self._connected()).list_tools()

    async def call(self, name: str, arguments: Mapping[str, Any]) -> McpResult:
        """Call a tool. Raises McpFailed."""
        return await (await self._connected()).call(name, arguments)

    async def close(self) -> None:
        """End the connection. Safe to call twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> "Connection":
        async with self._lock:
            connection = self._connection
            if connection is None or connection.is_over:
                # The first import takes about half a second, in which the event loop would stand still.
                module = await asyncio.to_thread(importlib.import_module, _CONNECTION)
                target = self._hosts.find(self._server.url)
                connection = self._connection = module.Connection(self._server, target, self._limits)
            return connection
