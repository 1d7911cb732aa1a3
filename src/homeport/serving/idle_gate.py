"""When background work may go on: in the gaps of what callers wait for. Pure policy; knows no requests, only counts.

While any caller waits for the first of its answer, the gate is shut. While all that are there are being answered, it
opens for a moment after each long while, so that it is never shut for good and slows nobody much. With nobody there it
is open, but for a moment at first: who asks again at once finds the machine as free as before.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

SETTLE_S = 0.05
MAX_CLOSED_S, OPEN_SLICE_S = 10.0, 1.0


class GateState(NamedTuple):
    """`changes_in_s`: how long until it opens or shuts by itself if nobody comes or goes; None: it does not."""

    is_open: bool
    changes_in_s: float | None


class IdleGatePolicy:
    """Open or shut, by who is there. Times are in seconds, by `clock`."""

    def __init__(
        self,
        settle_s: float = SETTLE_S,
        patience_s: float = MAX_CLOSED_S,
        turn_s: float = OPEN_SLICE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settle_s = settle_s
        self._patience_s = patience_s
        self._turn_s = turn_s
        self._clock = clock
        self._waiting = 0
        self._answered = 0
        self._left_at = -settle_s + clock()
        self._shut_at = clock()

    @property
    def is_open(self) -> bool:
        """Whether background work may go on now."""
        return self.state().is_open

    def state(self) -> GateState:
        """How it stands at this moment, and for how long."""
        if self._waiting:
            return GateState(False, None)
        now = self._clock()
        if not self._answered:
            left_s = self._left_at + self._settle_s - now
            return GateState(False, left_s) if left_s > 0 else GateState(True, None)
        passed_s = (now - self._shut_at) % (self._patience_s + self._turn_s)
        left_s = self._patience_s - passed_s
        return GateState(False, left_s) if left_s > 0 else GateState(True, left_s + self._turn_s)

    def on_request(self) -> None:
        """A caller asks, and waits."""
        if self.is_open:
            self._shut_at = self._clock()
        self._waiting += 1

    def on_first_event(self) -> None:
        """One that waited has the first of its answer."""
        self._waiting -= 1
        self._answered += 1

    def on_finished(self, *, was_answered: bool) -> None:
        """One is gone, with its answer under way or before."""
        if was_answered:
            self._answered -= 1
        else:
            self._waiting -= 1
        self._left_at = self._clock()
