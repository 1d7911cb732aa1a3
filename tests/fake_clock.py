"""A clock for tests: its time changes only when a test changes it."""


class FakeClock:
    """A callable clock, for the wall clock and for a monotonic one. Assign `now` to move it; the unit is seconds."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the current time."""
        return self.now
