"""The sending side of a connection: buffers bytes for a client that reads slowly. Knows nothing of HTTP."""

import asyncio
from typing import cast

from homeport.api.http.transfer_rates import ResponseProgress


class SendBuffer(asyncio.Protocol):
    """Sends bytes, and buffers what a client has not read. `is_blocked`: the buffer is full."""

    def __init__(self, now: float) -> None:
        self._transport: asyncio.Transport
        self._progress = ResponseProgress(now)
        self._writable = asyncio.Event()
        self.is_blocked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has the methods, but is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the tasks that wait."""
        del exc
        self._writable.set()

    def pause_writing(self) -> None:
        """Block: the client reads too slowly."""
        self.is_blocked = True
        self._writable.clear()

    def resume_writing(self) -> None:
        """Unblock."""
        self.is_blocked = False
        self._writable.set()

    def write(self, data: bytes) -> None:
        """Send bytes, or buffer them until the client reads."""
        self._progress.n_written += len(data)
        self._transport.write(data)

    async def wait_until_drained(self) -> None:
        """Wait until the buffer is nearly empty."""
        await self._writable.wait()

    def abort(self) -> None:
        """Close at once; what is not sent yet is lost."""
        self._transport.abort()

    @property
    def unsent(self) -> int:
        """Buffered bytes that the client has not read."""
        return self._transport.get_write_buffer_size()

    @property
    def behind_since(self) -> float:
        """When the client last read anything, or had read everything."""
        return self._progress.behind_since
