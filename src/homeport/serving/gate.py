"""When background work may go on: in the gaps of what callers wait for. Pure policy; knows no requests, only counts.

While any caller waits for the first of its answer, the gate is shut. While all that are there are being answered, it
opens only after it was shut for a while, so that it is never shut for good. With nobody there it is open, but for a
moment at first: who asks again at once finds the machine as free as before.
"""

import time
from collections.abc import Callable

SETTLE_S = 0.05
PATIENCE_S = 5.0


class Gate:
    """Open or shut, by who is there. Times are in seconds, by `clock`."""

    def __init__(
        self, settle_s: float = SETTLE_S, patience_s: float = PATIENCE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settle_s = settle_s
        self._patience_s = patience_s
        self._clock = clock
        self._waiting = 0
        self._answered = 0
        self._left_at = -settle_s + clock()
        self._shut_at = clock()

    @property
    def is_open(self) -> bool:
        """Whether background work may go on now."""
        return self.opens_in_s == 0.0

    @property
    def opens_in_s(self) -> float | None:
        """How long until it opens if nothing changes, 0 if it is open; None: it does not open by itself."""
        if self._waiting:
            return None
        now = self._clock()
        settled_s = self._left_at + self._settle_s - now
        if not self._answered:
            return max(0.0, settled_s)
        return max(0.0, self._shut_at + self._patience_s - now)

    def arrive(self) -> None:
        """A caller asks, and waits."""
        if self.is_open:
            self._shut_at = self._clock()
        self._waiting += 1

    def answer(self) -> None:
        """One that waited has the first of its answer."""
        self._waiting -= 1
        self._answered += 1

    def leave(self, *, was_answered: bool) -> None:
        """One is gone, with its answer under way or before."""
        if was_answered:
            self._answered -= 1
        else:
            self._waiting -= 1
        self._left_at = self._clock()
