"""The pause before a failed action is retried. Pure arithmetic; keeps no clock."""


class Backoff:
    """No pause after the first failure in a row, `first_s` after the second, then doubled up to `limit_s`."""

    def __init__(self, first_s: float, limit_s: float) -> None:
        self._first_s = first_s
        self._limit_s = limit_s
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def record_failure(self) -> float:
        """Count a failure; return the pause in seconds."""
        self._failures += 1
        if self._failures == 1:
            return 0.0
        doublings = min(self._failures - 2, 32)  # 2**32 first pauses exceed any limit, and the float stays finite
        return float(min(self._limit_s, self._first_s * 2**doublings))

    def reset(self) -> None:
        """Record a success."""
        self._failures = 0
