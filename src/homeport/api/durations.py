"""Counts of durations in narrow buckets, from which percentiles of any span of time can be estimated.

Knows nothing of what is measured.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

_GROWTH = 1.1
_MIN_S, _MAX_S = 0.001, 1000.0


def _narrow_bounds() -> tuple[float, ...]:
    bounds = [_MIN_S]
    while bounds[-1] < _MAX_S:
        bounds.append(bounds[-1] * _GROWTH)
    return tuple(bounds)


NARROW_BOUNDS = _narrow_bounds()
"""Bounds of buckets, in seconds, each a tenth larger than the one before it."""


class DurationCounts:
    """Durations counted by bucket. `bounds` ascend, in seconds; a bucket counts the durations up to its bound.

    The last of the `counts` is of those above all bounds.
    """

    __slots__ = ("_bounds", "counts", "sum_s")

    def __init__(self, bounds: Sequence[float] = NARROW_BOUNDS) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum_s = 0.0

    def add(self, duration_s: float, n: int = 1) -> None:
        """Count `n` equal durations."""
        self.counts[bisect_left(self._bounds, duration_s)] += n
        self.sum_s += duration_s * n


def merge_bounds(bounds: Iterable[float]) -> tuple[float, ...]:
    """Return the narrow bounds together with these, so that counts can be summed up to each of these exactly."""
    return tuple(sorted({*NARROW_BOUNDS, *bounds}))


def percentile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """Estimate the duration that a share of the counted ones does not exceed, in seconds; None if there are none.

    Inside a bucket durations are taken as evenly spread. Those above all bounds count as the highest bound.
    """
    wanted = share * sum(counts)
    if wanted <= 0:
        return None
    below = 0
    for at, n in enumerate(counts):
        if n and below + n >= wanted:
            if at == len(bounds):
                break
            low = bounds[at - 1] if at else 0.0
            return low + (bounds[at] - low) * (wanted - below) / n
        below += n
    return bounds[-1]
