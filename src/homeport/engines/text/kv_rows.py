"""The keys and values of consecutive tokens of one sequence, outside the memory of an executor.

Knows nothing of how they are computed or stored elsewhere.
"""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float16]
"""Keys or values: (layers, tokens, width)."""

_MIN_CAPACITY = 2048  # memory is taken only where it is written


class KVRows:
    """Keys and values that grow at the end. `start`: the position of the first token."""

    def __init__(self, layers: int, width: int, start: int = 0) -> None:
        self.start = start
        self._count = 0
        self._keys = np.empty((layers, 0, width), np.float16)
        self._values = np.empty((layers, 0, width), np.float16)

    @classmethod
    def of(cls, keys: Rows, values: Rows, start: int = 0) -> "KVRows":
        """Return rows that use these arrays."""
        rows = cls(keys.shape[0], keys.shape[2], start)
        rows._keys, rows._values, rows._count = keys, values, keys.shape[1]
        return rows

    @property
    def end(self) -> int:
        """The position after the last token."""
        return self.start + self._count

    @property
    def keys(self) -> Rows:
        """All keys; each layer is contiguous."""
        return self._keys[:, : self._count]

    @property
    def values(self) -> Rows:
        """All values; each layer is contiguous."""
        return self._values[:, : self._count]

    def since(self, position: int) -> "KVRows":
        """Return the rows from a position on, without copying them."""
        at = position - self.start
        return KVRows.of(self.keys[:, at:], self.values[:, at:], position)

    def extend(self, count: int) -> tuple[Rows, Rows]:
        """Add `count` tokens; return the arrays into which their keys and values are to be written."""
        first, self._count = self._count, self._count + count
        if self._count > self._keys.shape[1]:
            capacity = max(self._count, 2 * first, _MIN_CAPACITY)
            self._keys, self._values = (_grown(each, first, capacity) for each in (self._keys, self._values))
        return self._keys[:, first : self._count], self._values[:, first : self._count]

    def trim(self, end: int) -> None:
        """Keep only the tokens before the position `end`."""
        self._count = min(self._count, max(end - self.start, 0))


def _grown(rows: Rows, count: int, capacity: int) -> Rows:
    grown = np.empty((rows.shape[0], capacity, rows.shape[2]), np.float16)
    grown[:, :count] = rows[:, :count]
    return grown
