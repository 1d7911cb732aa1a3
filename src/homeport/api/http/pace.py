"""How fast a client sends a body and takes a response. Knows nothing of either; times are the pool's."""


class Upload:
    """A body on its way in. It must come at `rate` bytes per second, over the last `grace_s` seconds."""

    def __init__(self, rate: float, grace_s: float, now: float) -> None:
        self._rate = rate
        self._grace_s = grace_s
        self._credit_s = grace_s
        self._looked = now
        self.n_new = 0

    def is_too_slow(self, now: float, *, is_held: bool) -> bool:
        """Whether it has fallen behind since the last look. `is_held`: it may not come now, so time does not count."""
        spent_s = 0.0 if is_held else now - self._looked
        self._credit_s = min(self._grace_s, self._credit_s + self.n_new / self._rate - spent_s)
        self._looked, self.n_new = now, 0
        return self._credit_s < 0


class Delivery:
    """Responses on their way out. `behind_since`: when the client last took anything, or had everything."""

    def __init__(self, now: float) -> None:
        self.behind_since = now
        self.n_written = 0
        self._n_taken = 0

    def look(self, now: float, unsent: int) -> float:
        """Give for how many seconds the client has taken nothing of what waits for it."""
        n_taken = self.n_written - unsent
        if not unsent or n_taken != self._n_taken:
            self._n_taken, self.behind_since = n_taken, now
        return now - self.behind_since
