"""The sending half of a connection: bytes on their way to a client that may be behind. Knows nothing of HTTP."""

import asyncio
from typing import cast

from homeport.api.http.pace import Delivery


class Outbound(asyncio.Protocol):
    """Sends bytes, and knows whether the client takes them. `is_blocked`: it is behind, `drained` waits for it."""

    def __init__(self, now: float) -> None:
        self._transport: asyncio.Transport
        self._delivery = Delivery(now)
        self._writable = asyncio.Event()
        self.is_blocked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods alone

    def connection_lost(self, exc: Exception | None) -> None:
        """Hold nobody up any more."""
        del exc
        self._writable.set()

    def pause_writing(self) -> None:
        """Hold back what is sent: the client is behind."""
        self.is_blocked = True
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on sending."""
        self.is_blocked = False
        self._writable.set()

    def write(self, data: bytes) -> None:
        """Send bytes, now or as soon as the client takes them."""
        self._delivery.n_written += len(data)
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has caught up."""
        await self._writable.wait()

    def abort(self) -> None:
        """Close at once; what is not sent yet is lost."""
        self._transport.abort()

    @property
    def unsent(self) -> int:
        """Bytes that the client has not taken."""
        return self._transport.get_write_buffer_size()

    @property
    def behind_since(self) -> float:
        """When the client last took anything, or had everything."""
        return self._delivery.behind_since
