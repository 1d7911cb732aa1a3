"""One gateway's request on a replica's host: its events go back to that gateway, under the gateway's own id.

Implements the worker session's `StreamEnd`, and `PausableStream` for a background request. Buffers nothing.
"""

from collections.abc import Callable
from typing import Protocol

from homeport.cluster.messages import WORKER_LOST
from homeport.domain.errors import EngineFailed, HomeportError
from homeport.domain.events import CREDIT_FREE_EVENTS, Done, Event, Failed
from homeport.serving.workers.link_session import LinkSession

_PAUSE_CREDIT = 1 << 40
"""More credit than any request has, as in `serving.workers.stream`: the gateway's own pauses add to these."""


class EventSink(Protocol):
    """Where a request's events go."""

    def add(self, id: int, event: Event) -> None:
        """Add one event of a step that is sent as a whole."""
        ...

    def send_now(self, id: int, event: Event) -> None:
        """Send one event outside any step."""
        ...


class RelayedRequest:
    """A request that runs. `id` is the gateway's, `worker_id` that of the session.

    `on_first` is called when the first event of the answer arrives; `on_end` exactly once, when it is over.
    """

    def __init__(self, id: int, model: str, session: LinkSession, sink: EventSink, on_end: Callable[[], None]) -> None:
        self.id = id
        self.model = model
        self.worker_id = session.next_id()
        self.on_first: Callable[[], None] | None = None
        self._session = session
        self._sink = sink
        self._on_end = on_end
        self._is_over = False
        self._is_paused = False

    @property
    def is_over(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self._is_over

    def initial_credit(self, credit: int, *, is_paused: bool) -> int:
        """Return the credit to start with: less than none, if it starts paused."""
        self._is_paused = is_paused
        return credit - _PAUSE_CREDIT if is_paused else credit

    def push(self, event: Event) -> None:
        """Relay one event."""
        if self.on_first is not None and not isinstance(event, CREDIT_FREE_EVENTS):
            self.on_first()
            self.on_first = None
        self._sink.add(self.id, event)
        if isinstance(event, Done | Failed):
            self._finish(cancel=False)

    def fail(self, error: HomeportError, *, cancel: bool) -> None:
        """End it because the worker has ended (or because it cannot be paused)."""
        if not self._is_over:
            self._finish(cancel=cancel)
            self._sink.send_now(self.id, Failed(EngineFailed(error.message, code=WORKER_LOST).info))

    def expire(self, limit_s: float, now: float) -> None:
        """Do nothing: the gateway watches its readers."""

    def credit(self, n: int) -> None:
        """Allow more events."""
        self._session.credit(self.worker_id, n)

    def grant(self, n: int) -> None:
        """Allow more tokens."""
        self._session.grant(self.worker_id, n)

    def pause(self) -> None:
        """Pause it in the worker. Safe to call twice."""
        if not self._is_paused and not self._is_over:
            self._is_paused = True
            self.credit(-_PAUSE_CREDIT)

    def resume(self) -> None:
        """Resume it in the worker. Safe to call twice."""
        if self._is_paused and not self._is_over:
            self._is_paused = False
            self.credit(_PAUSE_CREDIT)

    def cancel(self) -> None:
        """Cancel it in the worker: its gateway no longer waits for it."""
        self._finish(cancel=True)

    def _finish(self, *, cancel: bool) -> None:
        if not self._is_over:
            self._is_over = True
            self._session.forget_stream(self.worker_id, cancel=cancel)
            self._on_end()
