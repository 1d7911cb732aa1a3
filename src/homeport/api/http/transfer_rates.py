"""How fast a client sends a body and reads a response. Knows nothing of either; the pool provides the clock."""


class BodyRate:
    """An incoming body. It must arrive at `rate` bytes per second, averaged over the last `grace_s` seconds."""

    def __init__(self, rate: float, grace_s: float, now: float) -> None:
        self._rate = rate
        self._grace_s = grace_s
        self._credit_s = grace_s
        self._looked = now
        self.n_new = 0

    def is_too_slow(self, now: float, *, is_paused: bool) -> bool:
        """Whether it is too slow since the last check. `is_paused`: reading is paused, so time does not count."""
        spent_s = 0.0 if is_paused else now - self._looked
        self._credit_s = min(self._grace_s, self._credit_s + self.n_new / self._rate - spent_s)
        self._looked, self.n_new = now, 0
        return self._credit_s < 0


class ResponseProgress:
    """Outgoing responses. `behind_since`: when the client last read anything, or had read everything."""

    def __init__(self, now: float) -> None:
        self.behind_since = now
        self.n_written = 0
        self._n_taken = 0

    def measure_stall_s(self, now: float, unsent: int) -> float:
        """Return for how many seconds the client has read nothing of what is buffered."""
        n_taken = self.n_written - unsent
        if not unsent or n_taken != self._n_taken:
            self._n_taken, self.behind_since = n_taken, now
        return now - self.behind_since
