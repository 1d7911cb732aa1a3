"""Events on their way to the database: written together, so that none waits for SQL. Knows nothing of their JSON."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from homeport.domain.responses import ResponseEvent
from homeport.serving.responses.signals import wait_for

_INTERVAL_S = 0.1
"""The pause between two writes, unless more events wait than `_EVENTS_PER_WRITE`."""
_EVENTS_PER_WRITE = 64
_MAX_WAITING = 4096
"""Events that may wait. A run pauses while there are more, such as when the database does not respond."""


class EventBuffer:
    """A buffer of one response. `run` it in a task, and `close` it before that task is cancelled."""

    def __init__(self, write: Callable[[Sequence[ResponseEvent]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[ResponseEvent] = []
        self._is_closed = False
        self._has_any = asyncio.Event()
        self._is_full = asyncio.Event()
        self._has_room = asyncio.Event()

    async def put(self, event: ResponseEvent) -> None:
        """Add an event; wait only while too many wait."""
        while len(self._waiting) >= _MAX_WAITING:
            self._has_room.clear()
            await self._has_room.wait()
        self._waiting.append(event)
        if len(self._waiting) == 1:
            self._has_any.set()
        if len(self._waiting) >= _EVENTS_PER_WRITE:
            self._is_full.set()

    async def run(self) -> None:
        """Write events until the buffer is closed. Raises what `write` raises."""
        while True:
            await self._has_any.wait()
            if self._is_closed:
                return
            batch = tuple(self._waiting)
            await self._write(batch)
            del self._waiting[: len(batch)]
            self._has_room.set()
            if not self._waiting:
                self._has_any.clear()
            if len(self._waiting) < _EVENTS_PER_WRITE:
                self._is_full.clear()
            if self._is_closed:
                return
            await wait_for(self._is_full, _INTERVAL_S)

    async def close(self, running: "asyncio.Task[None]") -> Sequence[ResponseEvent]:
        """End `run`, which is `running`, after the write that it has begun; return the events that are not written.

        Raises what `write` raises.
        """
        self._is_closed = True
        self._has_any.set()
        self._is_full.set()
        await running
        return tuple(self._waiting)
