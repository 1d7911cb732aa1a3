"""Reads an endless stream of server-sent events from an ASGI application, in process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Scope

from tests.api.asgi import LOCAL


class EventReader:
    """A request whose answer is a stream. `status` may be read once it is open; `take` reads one event."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._opened = asyncio.Event()
        self._bodies: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_over = False

    async def receive(self) -> Message:
        """Stay connected."""
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(self, message: Message) -> None:
        """Accept one message of the answer."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
            self._opened.set()
        elif message.get("body"):
            self._bodies.put_nowait(message["body"])

    async def opened(self) -> None:
        """Wait until the headers were sent."""
        await self._opened.wait()

    async def take_frame(self) -> bytes:
        """Return the next bytes that were sent."""
        async with asyncio.timeout(10):
            return await self._bodies.get()

    async def take(self) -> Any:
        """Return the next event, decoded; comments are skipped."""
        while (frame := await self.take_frame()).startswith(b":"):
            continue
        assert frame.startswith(b"data: ")
        assert frame.endswith(b"\n\n")
        return msgspec.json.decode(frame.removeprefix(b"data: "))


@asynccontextmanager
async def reading(app: ASGIApp, path: str, headers: Mapping[str, str]) -> AsyncIterator[tuple[EventReader, Any]]:
    """Send a GET and yield its reader, once the headers were sent, and the task that ends with the answer."""
    reader = EventReader()
    path, _, query = path.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in {**LOCAL, **headers}.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8080),
    }
    task = asyncio.ensure_future(app(scope, reader.receive, reader.send))
    try:
        async with asyncio.timeout(10):
            await reader.opened()
        yield reader, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
