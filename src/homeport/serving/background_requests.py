"""Background requests: they pause while the idle gate is closed, between two tokens, whatever engine runs them.

Pausing takes a request's credit back: its worker stops stepping it from the next step on and frees its memory if others
need it; once the credit is returned, it resumes. Knows nothing of batches.
"""

import asyncio
import logging
from typing import Protocol

from homeport.domain.errors import EngineFailed, HomeportError, Unavailable
from homeport.serving.idle_gate import IdleGatePolicy

PREEMPTED_CODE = "gave_way"
"""Error code of a request that was ended because another one needed its model's memory."""

_log = logging.getLogger(__name__)


class PausableStream(Protocol):
    """A stream that can be paused."""

    model: str

    @property
    def is_over(self) -> bool:
        """Whether the stream has ended."""
        ...

    def pause(self) -> None:
        """Pause it. Safe to call twice."""
        ...

    def resume(self) -> None:
        """Resume it. Safe to call twice."""
        ...

    def fail(self, error: HomeportError, *, cancel: bool) -> None:
        """End it with an error."""
        ...


class ForegroundRequest:
    """A caller's request, as the gate counts it. Repeated calls of a method have no effect."""

    def __init__(self, background: "BackgroundRequests") -> None:
        self._background = background
        self._was_answered = False
        self._has_finished = False

    def on_first_event(self) -> None:
        """Record the first event of its answer."""
        if not self._was_answered and not self._has_finished:
            self._was_answered = True
            self._background.gate.on_first_event()
            self._background.update()

    def finish(self) -> None:
        """Record that it has ended."""
        if not self._has_finished:
            self._has_finished = True
            self._background.gate.on_finished(was_answered=self._was_answered)
            self._background.update()


class BackgroundRequests:
    """All background requests of a server, and the gate for them. Implements `IdleGate`. On one event loop."""

    def __init__(self, gate: IdleGatePolicy | None = None) -> None:
        self.gate = gate or IdleGatePolicy()
        self._streams: list[PausableStream] = []
        self._opened = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._opened.set()

    def add_foreground(self) -> ForegroundRequest:
        """Count a caller's request: background requests pause from now on."""
        self.gate.on_request()
        self.update()
        return ForegroundRequest(self)

    def track(self, stream: PausableStream) -> None:
        """Pause and resume a background request until it has ended."""
        self._streams.append(stream)
        self.update()

    def preempt_others(self, model: str) -> None:
        """End the requests on other models: their memory may be needed to load this one."""
        for stream in tuple(self._streams):
            if stream.model != model:
                stream.fail(
                    Unavailable("Preempted by a caller's request.", code=PREEMPTED_CODE, retry_after_s=1.0), cancel=True
                )

    @property
    def is_open(self) -> bool:
        """Whether background requests may run now."""
        return self.gate.is_open

    async def wait_open(self) -> None:
        """Wait until the gate is open."""
        while not self.is_open:
            self.update()
            await self._opened.wait()

    def update(self) -> None:
        """Pause or resume all requests as the gate is now, and schedule the next update for when it changes."""
        is_open, changes_in_s = self.gate.state()
        self._streams = [stream for stream in self._streams if not stream.is_over]
        for stream in tuple(self._streams):
            self._apply(stream, is_open=is_open)
        if is_open:
            self._opened.set()
        else:
            self._opened.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if changes_in_s is not None:
            self._timer = asyncio.get_running_loop().call_later(changes_in_s, self.update)

    def _apply(self, stream: PausableStream, *, is_open: bool) -> None:
        try:
            if is_open:
                stream.resume()
            else:
                stream.pause()
        except Exception:  # only the failing request ends; the others and the next update are not affected
            _log.exception("a background request on %s failed", stream.model)
            self._streams.remove(stream)
            stream.fail(EngineFailed("The server had an error while it answered."), cancel=True)

    def close(self) -> None:
        """Stop scheduling updates."""
        if self._timer is not None:
            self._timer.cancel()
