"""One request under way, as the gateway sees it: its events, bounded by credit, and how it ends.

Knows nothing of processes: `push` and `fail` feed it, a `StreamLink` carries what it has to say to the worker.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
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
"""How many times its credit a stream may hold. A worker checks credit before a step, and a step may bring every
choice several deltas; beyond this the worker does not keep to its credit at all."""


_PAUSE_CREDIT = 1 << 40
"""More credit than any stream ever has: taken back, nothing is left to step on."""


class StreamLink(Protocol):
    """What a stream needs of the link to its worker."""

    def credit(self, id: int, n: int) -> None:
        """Allow `n` more events."""
        ...

    def grant(self, id: int, n: int) -> None:
        """Allow `n` more tokens; 0: there are no more."""
        ...

    def forget_stream(self, id: int, *, cancel: bool) -> None:
        """Forget this stream; `cancel` also tells the worker."""
        ...


class WorkerStream:
    """Implements `domain.ports.Stream`. `credit` is in events; `width` is how many answers grow side by side.

    `on_end` is called exactly once, when nothing is left to do for this request: it is done, failed or left.
    """

    def __init__(
        self, id: int, model: str, line: StreamLink, credit: int, width: int, on_end: Callable[[], None]
    ) -> None:
        self.model = model
        self._id = id
        self._line = line
        self._credit = credit
        self._limit = _MAX_OVERRUN * (credit + width)
        self._on_end = on_end
        self._events: list[Event] = []
        self._admitted: Admitted | None = None
        self._error: HomeportError | None = None
        self._over = False
        self._owed = 0
        self._held = 0
        self._taken_at = time.monotonic()
        self._reader: asyncio.Future[None] | None = None
        self._rests = False
        self.on_first: Callable[[], None] | None = None
        self.more: More | None = None

    @property
    def is_over(self) -> bool:
        """Whether it is done, failed or left."""
        return self._over

    def initial_credit(self, *, paused: bool) -> int:
        """The credit that the request is sent with; resting, it stands still from the start."""
        self._rests = paused
        return self._credit - _PAUSE_CREDIT if paused else self._credit

    def pause(self) -> None:
        """Have the worker stand still on it, from its next step on. Safe to call twice."""
        if not self._rests and not self._over:
            self._rests = True
            self._line.credit(self._id, -_PAUSE_CREDIT)

    def resume(self) -> None:
        """Have the worker go on. Safe to call twice."""
        if self._rests and not self._over:
            self._rests = False
            self._line.credit(self._id, _PAUSE_CREDIT)

    async def admitted(self) -> Admitted:
        """Wait until the worker has accepted the request; raise its error otherwise."""
        while self._admitted is None:
            if self._over:
                raise self._error or EngineFailed("The request was closed before it was admitted.")
            await self._change()
        return self._admitted

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Event]:
        while not self._events:
            if self._over:
                raise self._error or StopAsyncIteration
            await self._change()
        batch, self._events = self._events, []
        self._taken_at = time.monotonic()
        self._return_credit()
        return batch

    async def aclose(self) -> None:
        """Cancel if unfinished and give back the lease. Safe to call twice."""
        self._events.clear()
        self._end(cancel=True)

    def push(self, event: Event) -> None:
        """Take one event from the worker, in order."""
        if self._over:
            return
        if not isinstance(event, CREDIT_FREE_EVENTS):
            self._hold(event)
        elif isinstance(event, Admitted):
            self._admitted = event
        elif isinstance(event, QuotaLow):
            self._line.grant(self._id, self.more(event.used, event.wanted) if self.more else event.wanted)
            return
        elif isinstance(event, Failed):
            self.fail(error_from_info(event.fault), cancel=False)
        else:
            self._append(event)
            if isinstance(event, Done):
                self._end(cancel=False)
        self._wake()

    def fail(self, error: HomeportError, *, cancel: bool) -> None:
        """End with an error: the reader gets what came before it, then the error."""
        if not self._over:
            self._error = error
            self._end(cancel=cancel)

    def expire(self, limit_s: float, now: float) -> None:
        """Cancel where events wait for a reader that took none for `limit_s` seconds."""
        if self._events and not self._over and now - self._taken_at > limit_s:
            self._events.clear()
            self.fail(Unavailable(f"The stream was given up: nothing was read from it for {limit_s:g} s."), cancel=True)

    def _hold(self, event: Event) -> None:
        self._held += 1
        if self.on_first is not None:
            self.on_first()
            self.on_first = None
        if self._held > self._limit:
            self.fail(EngineFailed("The model's worker sent more than it was allowed to."), cancel=True)
        else:
            self._append(event)

    def _append(self, event: Event) -> None:
        if not self._events:
            self._taken_at = time.monotonic()
        self._events.append(event)

    def _return_credit(self) -> None:
        """Return credit for what was taken, in halves: one message per many events, and never none left over."""
        self._owed += self._held
        self._held = 0
        if not self._over and self._owed >= max(1, self._credit // 2):
            self._line.credit(self._id, self._owed)
            self._owed = 0

    def _end(self, *, cancel: bool) -> None:
        if not self._over:
            self._over = True
            self._line.forget_stream(self._id, cancel=cancel)
            self._wake()
            self._on_end()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def _change(self) -> None:
        """Wait for the next event, or the end. A bare future: an `asyncio.Event` costs three times as much."""
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None
