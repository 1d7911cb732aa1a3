"""When background work may run: while no caller waits. Pure policy: knows only counts, no requests.

While any caller waits for the first event of its answer, the gate is closed. While all callers are being answered, it
opens for one slice after each long closed period, so that background work makes progress and slows callers little.
Without callers it is open, after a short delay: a caller who sends the next request at once finds the machine free.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

SETTLE_S = 0.05
MAX_CLOSED_S, OPEN_SLICE_S = 10.0, 1.0


class GateState(NamedTuple):
    """`changes_in_s`: when it opens or closes if no request starts or ends; None: it stays as it is."""

    is_open: bool
    changes_in_s: float | None


class IdleGatePolicy:
    """Open or closed, by the number of callers. Times are in seconds, by `clock`.

    `always_opens`: the slices come also while callers wait, where some caller of many machines always does.
    """

    def __init__(
        self,
        settle_s: float = SETTLE_S,
        max_closed_s: float = MAX_CLOSED_S,
        open_slice_s: float = OPEN_SLICE_S,
        clock: Callable[[], float] = time.monotonic,
        *,
        always_opens: bool = False,
    ) -> None:
        self._always_opens = always_opens
        self._settle_s = settle_s
        self._max_closed_s = max_closed_s
        self._open_slice_s = open_slice_s
        self._clock = clock
        self._waiting = 0
        self._answering = 0
        self._ended_at = -settle_s + clock()
        self._closed_at = clock()

    @property
    def is_open(self) -> bool:
        """Whether background work may run now."""
        return self.state().is_open

    def state(self) -> GateState:
        """Return the current state, and how long it lasts."""
        if self._waiting and not self._always_opens:
            return GateState(False, None)
        now = self._clock()
        if not self._answering and not self._waiting:
            left_s = self._ended_at + self._settle_s - now
            return GateState(False, left_s) if left_s > 0 else GateState(True, None)
        elapsed_s = (now - self._closed_at) % (self._max_closed_s + self._open_slice_s)
        left_s = self._max_closed_s - elapsed_s
        return GateState(False, left_s) if left_s > 0 else GateState(True, left_s + self._open_slice_s)

    def on_request(self) -> None:
        """Count a request that waits."""
        is_in_slice = self._always_opens and (self._waiting or self._answering)
        if self.is_open and not is_in_slice:
            self._closed_at = self._clock()
        self._waiting += 1

    def on_first_event(self) -> None:
        """Record that a waiting request received the first event of its answer."""
        self._waiting -= 1
        self._answering += 1

    def on_finished(self, *, was_answered: bool) -> None:
        """Record that a request ended, with or without a first event."""
        if was_answered:
            self._answering -= 1
        else:
            self._waiting -= 1
        self._ended_at = self._clock()
