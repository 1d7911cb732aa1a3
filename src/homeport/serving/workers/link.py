"""One end of a link, on asyncio: one wake-up per frame. Knows nothing of requests.

A frame that does not decode or claims too many bytes ends the link at once.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, cast

import msgspec

from homeport.domain.worker_messages import WorkerReply
from homeport.serving.workers.frames import (
    MAX_COMMAND_BYTES,
    MAX_REPLY_BYTES,
    FrameReader,
    LinkBroken,
    pack,
)

T = TypeVar("T")
OnLost = Callable[[str], None]

LINK_BROKE = "its link broke"
"""How the reason begins for which a link is lost whose frames are invalid."""


class FrameLink(asyncio.Protocol, Generic[T]):
    """Sends and receives frames. `on_message` is called per frame, `on_lost` once, with the reason, when it ends.

    Neither is called after `close`. `kind` is the (union) type of what is received, `received_bytes` its limit, `limit`
    that of what is sent.
    """

    def __init__(
        self,
        kind: Any,
        on_message: Callable[[T], None],
        on_lost: OnLost,
        limit: int = MAX_COMMAND_BYTES,
        received_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self.limit = limit
        self._on_message = on_message
        self._on_lost = on_lost
        self._reader: FrameReader[T] = FrameReader(kind, received_bytes)
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._is_open = True

    def send(self, message: msgspec.Struct) -> None:
        """Queue one message. Raises PayloadTooLarge over the link's limit. A message to a lost link is dropped."""
        frame = pack(message, self.limit)
        if self._transport is not None and self._is_open:
            self._transport.write(frame)

    async def drain(self) -> None:
        """Wait until the other side has received most of what was sent, or the link is lost."""
        await self._writable.wait()

    def close(self) -> None:
        """Close the socket; queued messages are dropped. Safe to call twice."""
        self._is_open = False
        self._writable.set()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start: the socket is ready."""
        self._transport = cast(asyncio.Transport, transport)
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Decode received bytes."""
        try:
            messages = self._reader.feed(data)
        except LinkBroken as error:
            self._lose(f"{LINK_BROKE}: {error}")
            return
        for message in messages:
            if self._is_open:
                self._on_message(message)

    def pause_writing(self) -> None:
        """Stop writing: the other side lags."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Continue writing: the other side has caught up."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the loss of the socket."""
        self._lose("its link closed" if exc is None else f"its link failed: {exc}")

    def _lose(self, reason: str) -> None:
        if self._is_open:
            self.close()
            self._on_lost(reason)


class WorkerLink(FrameLink[WorkerReply]):
    """The gateway's end of the link to one worker."""

    @classmethod
    async def connect(
        cls, sock: socket.socket, on_message: Callable[[WorkerReply], None], on_lost: OnLost, limit: int
    ) -> Self:
        """Take over a connected socket; it is closed with the link."""
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: cls(WorkerReply, on_message, on_lost, limit), sock=sock)
        return link
