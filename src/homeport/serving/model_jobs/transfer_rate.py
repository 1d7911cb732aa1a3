"""The rate of a transfer over its last seconds."""

from collections import deque

_WINDOW_S = 5.0
_MIN_S = 0.5
"""A shorter time says nothing yet."""


class TransferRate:
    """Bytes per second over the last few seconds. `add` takes the total so far and the time of it in seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, total_bytes: int, now: float) -> None:
        """Record how many bytes have been transferred in all."""
        self._samples.append((now, total_bytes))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _WINDOW_S:
            self._samples.popleft()

    @property
    def bytes_per_s(self) -> float:
        """The rate; 0 before it is known."""
        if len(self._samples) < 2:
            return 0.0
        (since, first), (now, last) = self._samples[0], self._samples[-1]
        return max(0.0, (last - first) / (now - since)) if now - since >= _MIN_S else 0.0
