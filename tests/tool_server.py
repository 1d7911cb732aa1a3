"""A real MCP server on a local port, with tools that behave well and badly. What a test runs in its own event loop."""

import asyncio
import queue
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ImageContent, TextContent, ToolAnnotations

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class ToolServer:
    """What a test sees of its server: what was called, and the headers of each request."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.n_lists = 0
        self.is_slow = asyncio.Event()
        self.url = ""
        self.has_sessions = False
        """Whether it speaks the protocol of 2025 only, in which a client has a session."""
        self.refuses_calls = False
        """Whether it answers calls with an error of the protocol and an HTTP status."""
        self.hangs_at_end = False
        """Whether it never answers the end of a session."""

    def server(self) -> MCPServer[Any]:
        """Return the server with its tools."""
        server: MCPServer[Any] = MCPServer("tests", log_level="CRITICAL")

        @server.tool(description="Add two numbers.", annotations=ToolAnnotations(read_only_hint=True))
        def add(a: int, b: int) -> str:
            self.calls.append(("add", (a, b)))
            return str(a + b)

        @server.tool(name="files.delete", description="Delete a file.")
        def delete(path: str) -> str:
            self.calls.append(("files.delete", path))
            raise ToolError(f"no such file: {path}")

        @server.tool(structured_output=False)
        def huge(size: int) -> str:
            return "x" * size

        @server.tool(description="Get the current weather of a city.")
        def get_weather(city: Literal["Rome", "Oslo"]) -> str:
            self.calls.append(("get_weather", city))
            return f"It is sunny in {city}."

        @server.tool(description="Change the weather of a city.")
        def set_weather(city: Literal["Rome", "Oslo"]) -> str:
            raise ToolError(f"nobody can change the weather of {city}")

        @server.tool()
        async def slow() -> str:
            self.calls.append(("slow", None))
            self.is_slow.set()
            await asyncio.Event().wait()
            return ""

        @server.tool(structured_output=False)
        def picture() -> list[Any]:
            return [
                TextContent(type="text", text="a dot"),
                ImageContent(type="image", data="AAAA", mime_type="image/png"),
            ]

        return server

    def watch(self, app: App) -> App:
        """Return the application, whose requests are recorded."""

        async def watched(scope: Scope, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
            if scope["type"] == "http":
                headers = {name.decode(): value.decode() for name, value in scope["headers"]}
                self.headers.append(headers)
                self.paths.append(f"{scope['method']} {scope['path']}")
                if self.has_sessions and headers.get("mcp-method") == "server/discover":
                    await response(400)(scope, receive, send)
                    return
                if self.refuses_calls and headers.get("mcp-method") == "tools/call":
                    error = b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32602, "message": "not today"}}'
                    await response(400, {"content-type": "application/json"}, error)(scope, receive, send)
                    return
                if self.hangs_at_end and scope["method"] == "DELETE":
                    await asyncio.Event().wait()
            await app(scope, receive, send)

        return watched


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.is_ready.set()


@asynccontextmanager
async def running(app: App, certificate: Path | None = None) -> AsyncIterator[int]:
    """Serve an application on a local port during the block, and yield the port.

    `certificate`: a file with a certificate and its key; None: plain HTTP.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=0, ws="none", ssl_certfile=certificate)
    server = _Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    task = asyncio.create_task(server._serve([listener]))
    try:
        await server.is_ready.wait()
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        server.force_exit = True
        await task
        listener.close()


@asynccontextmanager
async def tool_server(*, over_events: bool = False) -> AsyncIterator[ToolServer]:
    """Run a server during the block. `over_events`: it knows only HTTP with SSE, the transport of 2024."""
    tools = ToolServer()
    server = tools.server()
    app = server.sse_app() if over_events else server.streamable_http_app()
    async with running(tools.watch(app)) as port:
        tools.url = f"http://127.0.0.1:{port}/{'sse' if over_events else 'mcp'}"
        yield tools


@contextmanager
def tool_server_in_thread() -> Iterator[ToolServer]:
    """Run a server during the block, for tests without an event loop."""
    started: queue.Queue[tuple[ToolServer, asyncio.AbstractEventLoop, asyncio.Event]] = queue.Queue()

    async def serve() -> None:
        stop = asyncio.Event()
        async with tool_server() as server:
            started.put((server, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    server, loop, stop = started.get(timeout=30)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=30)


def response(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> App:
    """Return an application that gives every request the same answer."""

    async def app(scope: Scope, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            return
        encoded = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    return app
