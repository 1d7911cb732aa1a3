"""Where sequences keep their KV: each in a short lane of its own, and in a shared pool once it has outgrown that.

A lane's tokens walk that lane's cells alone, which is what makes many sequences fast on a CPU; but a lane as long as a
model's window for each sequence is more memory than most machines have. So lanes are short, and the pool, one unified
cache of a window or more, is opened when the first sequence needs it. Whoever moves is copied, not computed again.
Knows nothing of requests, nor of who is running.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from homeport.engines.text.executor import Logits, TokenBatch
from homeport.engines.text.executors.llama.context import LlamaContext


class KVStreams:
    """The KV of one model's sequences. `lane` None: all live in the pool, which is then opened at once."""

    def __init__(self, lane: LlamaContext | None, open_pool: Callable[[], LlamaContext]) -> None:
        self._lane = lane
        self._open_pool = open_pool
        self._pool = None if lane else open_pool()
        self._opening: Future[LlamaContext] | None = None
        self._outgrown: set[int] = set()  # sequences that live in the pool though there are lanes

    @property
    def short_context(self) -> LlamaContext:
        """The context of the lanes, or of the pool where there are none."""
        return self._lane or self.long_context

    @property
    def long_context(self) -> LlamaContext:
        """The context of long sequences. Raises Unavailable where it does not fit into the memory any more."""
        if self._pool is None:
            opening, self._opening = self._opening, None  # one that failed is tried again by the next who needs it
            self._pool = opening.result() if opening else self._open_pool()
        return self._pool

    def prepare_length(self, n_tokens: int) -> None:
        """A sequence will be so long: where it will need the pool, begin to open that beside what is computed."""
        if self._pool is None and self._opening is None and self._lane and n_tokens > self._lane.window:
            self._opening = Future()
            threading.Thread(target=_fulfil, args=(self._opening, self._open_pool), daemon=True).start()

    def decode(self, batch: TokenBatch) -> Logits:
        """Compute a batch; rows (M, vocabulary), valid until the next call. Raises as `LlamaContext.decode`."""
        lane = self._lane
        if lane is None:
            return self.long_context.decode(batch)
        long = batch.positions >= lane.window
        if not self._outgrown and not long.any():
            self.prepare_length(int(batch.positions.max()) + lane.window // 4)
            return lane.decode(batch)
        for sequence in set(batch.sequences[long].tolist()) - self._outgrown:
            self._move_to_long(lane, sequence, is_empty=0 in batch.positions[batch.sequences == sequence])
        in_pool = np.isin(batch.sequences, list(self._outgrown))
        if in_pool.all():
            return self.long_context.decode(batch)
        if not in_pool.any():
            return lane.decode(batch)
        return self._decode_both(lane, batch, in_pool)

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Make `target` (empty) begin with the first `n_tokens` of `source`; a short beginning goes back to a lane."""
        if self._context_of(source) is self._lane:
            self._lane.fork(source, target, n_tokens)
            return
        self.long_context.fork(source, target, n_tokens)
        if self._lane is None:
            return
        self._outgrown.add(target)
        if n_tokens <= self._lane.window // 2:  # with room to grow, lest it soon moves again
            self._lane.restore(target, self.long_context.save(target))
            self.release([target])

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence."""
        self._context_of(sequence).trim(sequence, n_tokens)

    def release(self, sequences: Sequence[int]) -> None:
        """Empty these sequences."""
        for sequence in sequences:
            self.trim(sequence, 0)
            self._outgrown.discard(sequence)

    def save(self, sequence: int) -> bytes:
        """A sequence's KV as bytes that any context of this model restores."""
        return self._context_of(sequence).save(sequence)

    def restore(self, sequence: int, state: bytes, n_tokens: int) -> None:
        """Make an empty sequence hold the `n_tokens` that were saved. Raises EngineFailed where it cannot."""
        if self._lane is not None and n_tokens > self._lane.window:
            self._outgrown.add(sequence)
        self._context_of(sequence).restore(sequence, state)

    def unset_adapter(self, adapter: str) -> None:
        """Put an adapter that is to be freed out of effect."""
        for context in (self._lane, self._pool):
            if context is not None:
                context.unset_adapter(adapter)

    def close(self) -> None:
        """Free all contexts. May be called twice."""
        if self._opening is not None and self._opening.exception() is None:
            self._pool = self._opening.result()
        for context in (self._lane, self._pool):
            if context is not None:
                context.close()

    def _context_of(self, sequence: int) -> LlamaContext:
        return self.long_context if self._lane is None or sequence in self._outgrown else self._lane

    def _move_to_long(self, lane: LlamaContext, sequence: int, *, is_empty: bool) -> None:
        if not is_empty:
            self.long_context.restore(sequence, lane.save(sequence))
            lane.trim(sequence, 0)
        self._outgrown.add(sequence)

    def _decode_both(self, lane: LlamaContext, batch: TokenBatch, in_pool: NDArray[np.bool_]) -> Logits:
        """The lanes' part, then the pool's; their rows put together in the batch's order."""
        in_lane = ~in_pool
        from_lane, from_pool = in_lane[batch.logits_indices], in_pool[batch.logits_indices]
        found = lane.decode(_select_rows(batch, in_lane, from_lane))
        rows = np.empty((len(batch.logits_indices), found.shape[1]), np.float32)
        rows[from_lane] = found
        rows[from_pool] = self.long_context.decode(_select_rows(batch, in_pool, from_pool))
        return rows


def _fulfil(promise: "Future[LlamaContext]", make: Callable[[], LlamaContext]) -> None:
    try:
        promise.set_result(make())
    except BaseException as error:  # whoever needs it is told
        promise.set_exception(error)


def _select_rows(batch: TokenBatch, part: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> TokenBatch:
    """The tokens of a batch where `part`, and of its wanted indices those where `wanted`, counted anew."""
    index = np.cumsum(part, dtype=np.int32) - 1
    columns = batch.tokens[part], batch.positions[part], batch.sequences[part], index[batch.logits_indices[wanted]]
    return TokenBatch(*columns, batch.adapter)
