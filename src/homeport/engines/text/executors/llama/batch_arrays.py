"""Batches as llama.cpp reads them, backed by numpy arrays: of tokens, and of embeddings. Knows nothing of contexts."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed
from homeport.engines.text.executor import MediaRun, TokenBatch

_INT_BYTES = 4


class BatchPart(NamedTuple):
    """What one call computes of a batch: the tokens at these indices, or (`run`) the embeddings there."""

    indices: NDArray[np.intp]
    run: MediaRun | None


def split_media(batch: TokenBatch, largest: int) -> Iterator[BatchPart]:
    """Yield the parts of a batch in an order in which each sequence is computed from its start to its end.

    The tokens of all sequences up to their next embeddings are one part, and so are the embeddings of each run; at most
    `largest` of them, if they may be computed apart.
    """
    size = len(batch.tokens)
    edges = [*(np.flatnonzero(np.diff(batch.sequences)) + 1).tolist(), size]
    starts = [0, *edges[:-1]]
    runs = {run.first: run for run in batch.media}
    while any(start < end for start, end in zip(starts, edges, strict=True)):
        texts = []
        for at, end in enumerate(edges):
            stop = min((first for first in runs if starts[at] <= first < end), default=end)
            texts.append(np.arange(starts[at], stop))
            starts[at] = stop
        if len(text := np.concatenate(texts)):
            yield BatchPart(text, None)
        for at, end in enumerate(edges):
            if starts[at] < end:  # its next embeddings
                run = runs[starts[at]]
                starts[at] = run.stop
                yield from (BatchPart(np.arange(part.first, part.stop), part) for part in _cut(run, largest))


def _cut(run: MediaRun, largest: int) -> Iterator[MediaRun]:
    """Yield a run in parts that one call computes. Raises EngineFailed if it is too long and cannot be cut."""
    if len(run.rows) > largest and not run.is_causal:
        raise EngineFailed(f"A picture of {len(run.rows)} embeddings is computed at once; at most {largest} can be.")
    for start in range(0, len(run.rows), largest):
        rows = run.rows[start : start + largest]
        yield run._replace(
            first=run.first + start,
            rows=rows,
            offset=run.offset + start,
            is_last=run.is_last and start + len(rows) == len(run.rows),
            grid=None if run.grid is None else run.grid[start : start + len(rows)],
        )


class LlamaBatch:
    """A `llama_batch` of at most `size` tokens or embeddings. Its pointers are set once, except that of embeddings."""

    def __init__(self, ffi: Any, size: int) -> None:
        self._ffi = ffi
        self._tokens = np.zeros(size, np.int32)
        self._positions = np.zeros(4 * size, np.int32)
        self._sequences = np.zeros(size, np.int32)
        self._wanted = np.zeros(size, np.int8)
        self._counts = np.ones(size, np.int32)
        # seq_id[i] points to the i-th token's list of sequences: always one here, in its own array.
        first = self._sequences.ctypes.data
        self._lists = np.arange(size, dtype=np.uintp) * np.uintp(_INT_BYTES) + np.uintp(first)
        self._batch = ffi.new("llama_batch *")
        self._token_pointer = ffi.from_buffer("int32_t[]", self._tokens)
        self._batch.pos = ffi.from_buffer("int32_t[]", self._positions)
        self._batch.n_seq_id = ffi.from_buffer("int32_t[]", self._counts)
        self._batch.seq_id = ffi.cast("int32_t **", self._lists.ctypes.data)
        self._batch.logits = ffi.from_buffer("int8_t[]", self._wanted)
        self._rows: object = None  # keeps the embeddings alive

    def fill(self, batch: TokenBatch, positions: NDArray[np.int32]) -> object:
        """Copy tokens at these positions; return the `llama_batch`. Raises EngineFailed if it is longer than `size`."""
        count = len(batch.tokens)
        self._fill(batch, positions, count)
        self._tokens[:count] = batch.tokens
        self._batch.token, self._batch.embd = self._token_pointer, self._ffi.NULL
        return self._batch[0]

    def fill_rows(self, batch: TokenBatch, rows: NDArray[np.float32], positions: NDArray[np.int32]) -> object:
        """Copy a batch that has embeddings in place of all tokens; `positions`: (N) or (4, N)."""
        self._fill(batch, positions.reshape(-1), len(rows))
        rows = np.ascontiguousarray(rows, np.float32)
        self._rows = self._ffi.from_buffer("float[]", rows)
        self._batch.token, self._batch.embd = self._ffi.NULL, self._rows
        return self._batch[0]

    def _fill(self, batch: TokenBatch, positions: NDArray[np.int32], count: int) -> None:
        if not 0 < count <= len(self._tokens):
            raise EngineFailed(f"A batch of {count} tokens was planned; 1 to {len(self._tokens)} can be computed.")
        self._positions[: len(positions)] = positions
        self._sequences[:count] = batch.sequences
        self._wanted[:count] = 0
        self._wanted[batch.logits_indices] = 1
        self._batch.n_tokens = count
