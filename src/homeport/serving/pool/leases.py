"""Counts the leases of a loaded model, and how long it has had none. Pure; knows nothing of processes."""

import time
from collections.abc import Callable


class Lease:
    """A hold on a model, which is not unloaded meanwhile. `release` counts once, however often it is called."""

    def __init__(self, on_release: Callable[[], None]) -> None:
        self._on_release: Callable[[], None] | None = on_release

    def release(self) -> None:
        """Release the hold."""
        if self._on_release is not None:
            on_release, self._on_release = self._on_release, None
            on_release()


class LeaseCounter:
    """The leases of one model. `on_free` is called whenever the last one is released."""

    def __init__(self, on_free: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._on_free = on_free
        self._clock = clock
        self._count = 0
        self._used_at = clock()

    @property
    def count(self) -> int:
        """Leases that are not released."""
        return self._count

    @property
    def used_at(self) -> float:
        """The time of last use, by the clock: now, while there is a lease."""
        return self._clock() if self._count else self._used_at

    @property
    def idle_s(self) -> float:
        """How long there has been no lease, in seconds; 0 while there is one."""
        return self._clock() - self.used_at if not self._count else 0.0

    def acquire(self) -> Lease:
        """Add a lease."""
        self._count += 1
        return Lease(self._release)

    def _release(self) -> None:
        self._count -= 1
        self._used_at = self._clock()
        if not self._count:
            self._on_free()
