"""The interface of what talks to MCP servers (Model Context Protocol): lists their tools and calls them.

`app` chooses the implementation. Knows nothing of responses or of which hosts may be reached.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class McpServer:
    """A server that a caller names. Its URL and headers may hold credentials: they are sent, and shown nowhere."""

    label: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class McpTool:
    """A tool of a server. `input_schema`: the JSON Schema of its arguments; `annotations`: hints, such as
    `readOnlyHint`.
    """

    name: str
    description: str | None
    input_schema: Mapping[str, Any]
    annotations: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class McpResult:
    """What a tool returned, as text. `is_error`: the tool says that it failed; the text says why."""

    text: str
    is_error: bool = False


class McpFailed(Exception):
    """A server could not be used: it is not reached, does not respond, refuses, or sends too much.

    `http_status`: the status of its response, if that was the reason; else `code` is that of a JSON-RPC error. Not an
    error of a request: a response continues after a call that failed.
    """

    def __init__(self, message: str, *, code: int = -32000, http_status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.http_status = http_status


class McpSession(Protocol):
    """A connection to one server, opened when it is first used. Always close it."""

    async def list_tools(self) -> Sequence[McpTool]:
        """Return the server's tools. Raises McpFailed."""
        ...

    async def call(self, name: str, arguments: Mapping[str, Any]) -> McpResult:
        """Call a tool. Raises McpFailed. Cancelling the caller cancels the call."""
        ...

    async def close(self) -> None:
        """End the connection. Safe to call twice."""
        ...


class McpClient(Protocol):
    """Opens connections to servers."""

    @property
    def is_installed(self) -> bool:
        """Whether this installation can talk to servers: it needs an optional dependency."""
        ...

    def check(self, url: str) -> None:
        """Check that a server may be reached. Raises ValueError with the reason, for people."""
        ...

    def open(self, server: McpServer) -> McpSession:
        """Return a connection to a server whose URL was checked."""
        ...
