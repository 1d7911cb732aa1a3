"""Background requests among the others: they rest while the gate is shut, token by token, whatever engine runs them.

A request rests because its credit is taken back: its worker stops stepping it from the next step on, gives its room
to others where they need it, and goes on where it was once the credit is there again. Knows nothing of batches.
"""

import asyncio
import logging
from typing import Protocol

from homeport.domain.errors import EngineFailed, HomeportError, Unavailable
from homeport.serving.idle_gate import IdleGatePolicy

PREEMPTED_CODE = "gave_way"
"""The code of the error of a request that was ended because another needed its model's room."""

_log = logging.getLogger(__name__)


class PausableStream(Protocol):
    """A stream that can be made to rest."""

    model: str

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        ...

    def pause(self) -> None:
        """Have it stand still. Safe to call twice."""
        ...

    def resume(self) -> None:
        """Have it go on. Safe to call twice."""
        ...

    def fail(self, error: HomeportError, *, cancel: bool) -> None:
        """End it with an error."""
        ...


class ForegroundRequest:
    """One caller's request, as the gate sees it. Both may be called again, and then do nothing."""

    def __init__(self, background: "BackgroundRequests") -> None:
        self._background = background
        self._was_answered = False
        self._has_left = False

    def on_first_event(self) -> None:
        """The first of its answer is there."""
        if not self._was_answered and not self._has_left:
            self._was_answered = True
            self._background.gate.on_first_event()
            self._background.update()

    def finish(self) -> None:
        """It is over."""
        if not self._has_left:
            self._has_left = True
            self._background.gate.on_finished(was_answered=self._was_answered)
            self._background.update()


class BackgroundRequests:
    """All background requests of a server, and who is there beside them. On one event loop."""

    def __init__(self, gate: IdleGatePolicy | None = None) -> None:
        self.gate = gate or IdleGatePolicy()
        self._streams: list[PausableStream] = []
        self._opened = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._opened.set()

    def add_foreground(self) -> ForegroundRequest:
        """A caller asks: all in the background rests from now on."""
        self.gate.on_request()
        self.update()
        return ForegroundRequest(self)

    def track(self, stream: PausableStream) -> None:
        """Look after a background request until it is over."""
        self._streams.append(stream)
        self.update()

    def preempt_others(self, model: str) -> None:
        """End the requests on other models than this: they may stand in the way of its load."""
        for stream in tuple(self._streams):
            if stream.model != model:
                stream.fail(
                    Unavailable("Gave way to a caller's request.", code=PREEMPTED_CODE, retry_after_s=1.0), cancel=True
                )

    async def wait_open(self) -> None:
        """Wait until the gate is open."""
        while not self.gate.is_open:
            self.update()
            await self._opened.wait()

    def update(self) -> None:
        """Have all go on or rest, as the gate stands, and look again when it opens or shuts by itself."""
        is_open, changes_in_s = self.gate.state()
        self._streams = [stream for stream in self._streams if not stream.is_over]
        for stream in tuple(self._streams):
            self._direct(stream, goes_on=is_open)
        if is_open:
            self._opened.set()
        else:
            self._opened.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if changes_in_s is not None:
            self._timer = asyncio.get_running_loop().call_later(changes_in_s, self.update)

    def _direct(self, stream: PausableStream, *, goes_on: bool) -> None:
        try:
            if goes_on:
                stream.resume()
            else:
                stream.pause()
        except Exception:  # one that breaks ends alone: the others are to be told, and the next look is to come
            _log.exception("a background request on %s failed", stream.model)
            self._streams.remove(stream)
            stream.fail(EngineFailed("The server had an error while it answered."), cancel=True)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
