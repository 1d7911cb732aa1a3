"""The rotary positions of sequences with pictures, for models whose positions have four parts (M-RoPE).

There, a picture takes fewer positions than it has embeddings, so whatever follows has a lower position than the number
of tokens before it. Knows nothing of llama.cpp.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed
from homeport.engines.text.executor import MediaRun

GRID = 4
"""The parts of a position."""

_Ends = list[tuple[int, int]]


class RopePositions:
    """By sequence: after how many tokens a picture ends, and how many positions less there are from then on."""

    def __init__(self) -> None:
        self._ends: dict[int, _Ends] = {}

    def position(self, sequence: int, n_tokens: int) -> int:
        """Return the position of the token after the first `n_tokens`, which must not end within a picture."""
        return n_tokens - self._shift(sequence, n_tokens)

    def translate(self, sequences: NDArray[np.int32], n_tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return the positions of tokens (N) of these sequences (N), each after `n_tokens` (N) others."""
        positions = n_tokens
        for sequence in self._ends.keys() & set(sequences.tolist()):
            for end, shift in self._ends[sequence]:
                is_after = (sequences == sequence) & (n_tokens >= end)
                positions = np.where(is_after, n_tokens - shift, positions)
        return positions

    def grid(self, sequence: int, n_tokens: int, run: MediaRun) -> NDArray[np.int32]:
        """Return the positions (4, n) of the embeddings of a run, whose first one follows `n_tokens` others."""
        first = self.position(sequence, n_tokens - run.offset)
        if run.grid is None:
            places = first + run.offset + np.arange(len(run.rows), dtype=np.int32)
            return np.stack([places, places, places, np.zeros_like(places)])
        grid = np.array(run.grid.T)
        grid[: GRID - 1] += first
        return grid

    def add(self, sequence: int, n_tokens: int, run: MediaRun) -> None:
        """Record that a picture ends with this run, and with it the first `n_tokens`."""
        size = run.offset + len(run.rows)
        if size != run.n_positions:
            shift = self._shift(sequence, n_tokens - size) + size - run.n_positions
            self._ends.setdefault(sequence, []).append((n_tokens, shift))

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Copy what is known of the first `n_tokens` of a sequence."""
        self._set(target, self._ends.get(source, []), n_tokens)

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Forget what follows the first `n_tokens`."""
        self._set(sequence, self._ends.get(sequence, []), n_tokens)

    def save(self, sequence: int) -> bytes:
        """Return what is known of a sequence as bytes."""
        return msgspec.msgpack.encode(self._ends.get(sequence, []))

    def restore(self, sequence: int, saved: bytes | memoryview) -> None:
        """Set what is known of a sequence. Raises EngineFailed for bytes that `save` has not returned."""
        try:
            self._set(sequence, msgspec.msgpack.decode(saved, type=list[tuple[int, int]]), None)
        except msgspec.DecodeError as error:
            raise EngineFailed(f"Invalid saved positions: {error}") from error

    def _shift(self, sequence: int, n_tokens: int) -> int:
        return max((shift for end, shift in self._ends.get(sequence, ()) if end <= n_tokens), default=0)

    def _set(self, sequence: int, ends: Sequence[tuple[int, int]], n_tokens: int | None) -> None:
        kept = [(end, shift) for end, shift in ends if n_tokens is None or end <= n_tokens]
        if kept:
            self._ends[sequence] = kept
        else:
            self._ends.pop(sequence, None)
