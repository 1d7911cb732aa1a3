"""One running request, as the gateway sees it: its events, bounded by credit, and its end.

Knows nothing of processes: `push` and `fail` feed it, a `StreamLink` sends its messages to the worker.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, Self

from homeport.domain.errors import (
    EngineFailed,
    HomeportError,
    Unavailable,
    error_from_info,
)
from homeport.domain.events import (
    CREDIT_FREE_EVENTS,
    Admitted,
    Done,
    Event,
    Failed,
    QuotaLow,
)
from homeport.domain.ports.serving import More

_MAX_OVERRUN = 4
"""How many times its credit a stream may buffer. A worker checks credit before a step, and a step may add several
deltas per choice; a worker that exceeds this ignores its credit."""

_PAUSE_CREDIT = 1 << 40
"""More credit than any stream has: once it is taken back, the request cannot step."""


class StreamLink(Protocol):
    """What a stream needs of the link to its worker."""

    def credit(self, id: int, n: int) -> None:
        """Allow `n` more events."""
        ...

    def grant(self, id: int, n: int) -> None:
        """Allow `n` more tokens; 0: there are no more."""
        ...

    def forget_stream(self, id: int, *, cancel: bool) -> None:
        """Forget this stream; `cancel` also cancels it in the worker."""
        ...


class WorkerStream:
    """Implements `domain.ports.serving.RequestStream`. `credit` counts events; `width`: the concurrent choices.

    `on_end` is called exactly once, when the request is done, failed or closed.
    """

    def __init__(
        self, id: int, model: str, link: StreamLink, credit: int, width: int, on_end: Callable[[], None]
    ) -> None:
        self.model = model
        self._id = id
        self._link = link
        self._credit = credit
        self._limit = _MAX_OVERRUN * (credit + width)
        self._on_end = on_end
        self._events: list[Event] = []
        self._admitted: Admitted | None = None
        self._error: HomeportError | None = None
        self._is_over = False
        self._unreturned = 0
        self._buffered = 0
        self._read_at = time.monotonic()
        self._reader: asyncio.Future[None] | None = None
        self._is_paused = False
        self.on_first: Callable[[], None] | None = None
        self.more: More | None = None
        self._granting: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether it is done, failed or closed."""
        return self._is_over

    @property
    def error(self) -> HomeportError | None:
        """The error that it ended with, if it did."""
        return self._error

    def initial_credit(self, *, paused: bool) -> int:
        """Return the credit to send the request with; a paused one starts without any."""
        self._is_paused = paused
        return self._credit - _PAUSE_CREDIT if paused else self._credit

    def pause(self) -> None:
        """Pause the request in the worker, from its next step on. Safe to call twice."""
        if not self._is_paused and not self._is_over:
            self._is_paused = True
            self._link.credit(self._id, -_PAUSE_CREDIT)

    def resume(self) -> None:
        """Resume the request in the worker. Safe to call twice."""
        if self._is_paused and not self._is_over:
            self._is_paused = False
            self._link.credit(self._id, _PAUSE_CREDIT)

    async def admitted(self) -> Admitted:
        """Wait until the worker has admitted the request; raise its error otherwise."""
        while self._admitted is None:
            if self._is_over:
                raise self._error or EngineFailed("The request was closed before it was admitted.")
            await self._wait_for_change()
        return self._admitted

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Event]:
        while not self._events:
            if self._is_over:
                raise self._error or StopAsyncIteration
            await self._wait_for_change()
        batch, self._events = self._events, []
        self._read_at = time.monotonic()
        self._return_credit()
        return batch

    async def aclose(self) -> None:
        """Cancel the request if unfinished, and release the lease. Safe to call twice."""
        self._events.clear()
        self._end(cancel=True)

    def push(self, event: Event) -> None:
        """Add one event from the worker, in order."""
        if self._is_over:
            return
        if not isinstance(event, CREDIT_FREE_EVENTS):
            self._buffer(event)
        elif isinstance(event, Admitted):
            self._admitted = event
        elif isinstance(event, QuotaLow):
            self._grant_more(event)
            return
        elif isinstance(event, Failed):
            self.fail(error_from_info(event.fault), cancel=False)
        else:
            self._append(event)
            if isinstance(event, Done):
                self._end(cancel=False)
        self._wake()

    def fail(self, error: HomeportError, *, cancel: bool) -> None:
        """End with an error: the reader receives the events before it, then the error."""
        if not self._is_over:
            self._error = error
            self._end(cancel=cancel)

    def expire(self, limit_s: float, now: float) -> None:
        """Cancel the request if its events were not read for `limit_s` seconds."""
        if self._events and not self._is_over and now - self._read_at > limit_s:
            self._events.clear()
            self.fail(Unavailable(f"The stream was closed: nothing was read from it for {limit_s:g} s."), cancel=True)

    def _grant_more(self, event: QuotaLow) -> None:
        """Grant the tokens that the limits allow, at once or when another machine has answered."""
        n = self.more(event.used, event.wanted) if self.more else event.wanted
        if isinstance(n, int):
            self._link.grant(self._id, n)
        else:
            self._granting = asyncio.create_task(self._grant_later(n))

    async def _grant_later(self, answer: Awaitable[int]) -> None:
        try:
            n = await answer
        except HomeportError as error:
            self.fail(error, cancel=True)
            return
        if not self._is_over:
            self._link.grant(self._id, n)

    def _buffer(self, event: Event) -> None:
        self._buffered += 1
        if self.on_first is not None:
            self.on_first()
            self.on_first = None
        if self._buffered > self._limit:
            self.fail(EngineFailed("The model's worker sent more than it was allowed to."), cancel=True)
        else:
            self._append(event)

    def _append(self, event: Event) -> None:
        if not self._events:
            self._read_at = time.monotonic()
        self._events.append(event)

    def _return_credit(self) -> None:
        """Return credit for read events, in halves of the credit: one message for many events, and none is lost."""
        self._unreturned += self._buffered
        self._buffered = 0
        if not self._is_over and self._unreturned >= max(1, self._credit // 2):
            self._link.credit(self._id, self._unreturned)
            self._unreturned = 0

    def _end(self, *, cancel: bool) -> None:
        if not self._is_over:
            self._is_over = True
            if self._granting is not None:
                self._granting.cancel()
            self._link.forget_stream(self._id, cancel=cancel)
            self._wake()
            self._on_end()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def _wait_for_change(self) -> None:
        """Wait for the next event, or the end. A bare future, because an `asyncio.Event` costs three times as much."""
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None
