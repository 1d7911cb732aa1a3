"""The gateway's end of the link to one worker, on asyncio: one wake-up per frame. Knows nothing of requests.

A frame that does not decode or claims too many bytes ends the link at once.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Self, cast

import msgspec

from homeport.domain.worker_messages import WorkerReply
from homeport.serving.workers.frames import (
    MAX_COMMAND_BYTES,
    MAX_REPLY_BYTES,
    FrameReader,
    LinkBroken,
    pack,
)

OnMessage = Callable[[WorkerReply], None]
OnLost = Callable[[str], None]


class WorkerLink(asyncio.Protocol):
    """Sends and receives frames. `on_message` is called per frame, `on_lost` once, with the reason, when it ends.

    Neither is called after `close`.
    """

    def __init__(self, on_message: OnMessage, on_lost: OnLost, limit: int = MAX_COMMAND_BYTES) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._limit = limit
        self._reader: FrameReader[WorkerReply] = FrameReader(WorkerReply, MAX_REPLY_BYTES)
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._is_open = True

    @classmethod
    async def connect(cls, sock: socket.socket, on_message: OnMessage, on_lost: OnLost, limit: int) -> Self:
        """Take over a connected socket; it is closed with the link."""
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: cls(on_message, on_lost, limit), sock=sock)
        return link

    def send(self, message: msgspec.Struct) -> None:
        """Queue one message. Raises PayloadTooLarge over the link's limit. A message to a lost link is dropped."""
        frame = pack(message, self._limit)
        if self._transport is not None and self._is_open:
            self._transport.write(frame)

    async def drain(self) -> None:
        """Wait until the worker has received most of what was sent, or the link is lost."""
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
            self._lose(f"its link broke: {error}")
            return
        for message in messages:
            if self._is_open:
                self._on_message(message)

    def pause_writing(self) -> None:
        """Stop writing: the worker lags."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Continue writing: the worker has caught up."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the loss of the socket."""
        self._lose("its link closed" if exc is None else f"its link failed: {exc}")

    def _lose(self, reason: str) -> None:
        if self._is_open:
            self.close()
            self._on_lost(reason)
