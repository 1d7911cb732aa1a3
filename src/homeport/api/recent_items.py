"""The latest items of something that never ends, in bounded memory, and readers that wait for the next ones.

Readers keep a number and no queue: one that is slow loses the oldest items, not the server its memory. Knows nothing of
what the items are.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class ItemRange(NamedTuple, Generic[T]):
    """Items that follow each other, the oldest first. `first`: the number of the first one; `n_missed`: how many items
    before it are no longer there.
    """

    first: int
    items: Sequence[T]
    n_missed: int


class RecentItems(Generic[T]):
    """The latest items, numbered from 1 on. Any thread may append; readers wait on one event loop.

    At most `max_items`, and at most `max_weight` of the weights that `append` receives.
    """

    def __init__(self, max_items: int, max_weight: int | None = None) -> None:
        self._max_items = max_items
        self._max_weight = max_weight
        self._items: deque[tuple[T, int]] = deque()
        self._weight = 0
        self._last = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._is_closed = False

    @property
    def last(self) -> int:
        """The number of the latest item; 0 if there was none."""
        return self._last

    def append(self, item: T, weight: int = 0) -> None:
        """Add an item, and wake the readers."""
        with self._lock:
            self._items.append((item, weight))
            self._last += 1
            self._weight += weight
            while len(self._items) > self._max_items or (
                self._max_weight is not None and self._weight > self._max_weight
            ):
                self._weight -= self._items.popleft()[1]
            has_waiters = bool(self._waiters)
        if has_waiters and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                self._loop.call_soon_threadsafe(self._wake)

    def after(self, number: int = 0) -> ItemRange[T]:
        """Return what there is of the items after this number."""
        with self._lock:
            first = self._last - len(self._items) + 1
            start = max(first, number + 1)
            items = [item for item, _ in self._items][start - first :]
        return ItemRange(start, items, max(0, first - number - 1))

    async def follow(self, number: int) -> AsyncGenerator[ItemRange[T], None]:
        """Yield the items after this number, all that there are at a time, until `close`. Never an empty range."""
        while True:
            found = self.after(number)
            if found.items:
                yield found
                number = found.first + len(found.items) - 1
            elif found.n_missed:
                number = self.last
            elif self._is_closed:
                return
            else:
                await self._wait(number)

    def close(self) -> None:
        """End all readers, now and later. Call it on their event loop."""
        self._is_closed = True
        self._wake()

    async def _wait(self, number: int) -> None:
        """Wait until there is an item after this number, or `close`."""
        self._loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            if self._last > number or self._is_closed:
                return
            self._waiters.add(waiter)
        try:
            await waiter
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def _wake(self) -> None:
        with self._lock:
            waiters = tuple(self._waiters)
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
