"""What the parts of one process tell each other about background responses, without asking the database.

Knows nothing of what responses hold. Other processes notice the same changes by reading the database. On one event
loop.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


async def wait_for(event: asyncio.Event, timeout_s: float) -> None:
    """Wait until an event is set, for at most `timeout_s`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


class ResponseSignals:
    """The signals of one server.

    `queued` is set when a response may be claimed. `is_closed`: the server ends, and followers end with it.
    """

    def __init__(self) -> None:
        self.queued = asyncio.Event()
        self.is_closed = False
        self._followers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._cancels: dict[str, Callable[[], None]] = {}

    @contextmanager
    def following(self, response_id: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set whenever events or the end of a response are stored. Its user clears it."""
        changed = asyncio.Event()
        self._followers[response_id].add(changed)
        try:
            yield changed
        finally:
            self._followers[response_id].discard(changed)
            if not self._followers[response_id]:
                del self._followers[response_id]

    @contextmanager
    def running(self, response_id: str, cancel: Callable[[], None]) -> Iterator[None]:
        """Mark a response as run by this process during the block. `cancel` asks for its end."""
        self._cancels[response_id] = cancel
        try:
            yield
        finally:
            del self._cancels[response_id]

    def is_running(self, response_id: str) -> bool:
        """Whether this process runs a response."""
        return response_id in self._cancels

    def cancel(self, response_id: str) -> None:
        """Ask for the end of a response, if this process runs it."""
        if response_id in self._cancels:
            self._cancels[response_id]()

    def notify(self, response_id: str) -> None:
        """Wake the followers of a response."""
        for changed in self._followers.get(response_id, ()):
            changed.set()

    def close(self) -> None:
        """Wake all followers for the last time."""
        self.is_closed = True
        for response_id in tuple(self._followers):
            self.notify(response_id)
