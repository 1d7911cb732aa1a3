"""An application served by uvicorn on the test's own event loop, so that test and server share events."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp


class Checkpoint(asyncio.Event):
    """An event that a script waits for; `reached` is set when it does."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> Any:
        """Set `reached` and wait."""
        self.reached.set()
        return await super().wait()


@contextlib.asynccontextmanager
async def on_loop(app: ASGIApp) -> AsyncIterator[int]:
    """Serve `app` while the block runs; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await asyncio.wait_for(task, 10)


class RawConnection:
    """A raw connection that sends one request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def post(cls, port: int, path: str, body: dict[str, Any]) -> "RawConnection":
        """Connect and send a whole request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(data)}\r\nconnection: close\r\n\r\n".encode() + data)
        await writer.drain()
        return cls(reader, writer)

    async def until(self, mark: bytes) -> bytes:
        """Read up to a mark."""
        return await asyncio.wait_for(self._reader.readuntil(mark), 10)

    async def rest(self) -> bytes:
        """Read until the server closes the connection."""
        response = await asyncio.wait_for(self._reader.read(), 10)
        await self.leave()
        return response

    async def leave(self) -> None:
        """Close the connection."""
        self._writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
