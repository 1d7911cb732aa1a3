"""Stores the KV of sequences: each in a short KV stream of its own, or in a unified cache if it is longer than that.

A stream's tokens attend to the cells of that stream only, which makes many sequences fast on a CPU. But a stream as
long as the window for each sequence needs more memory than most machines have. So streams are short (the short
context), and one unified cache of at least a window (the long context) is opened when a sequence first needs it. A
sequence that moves is copied, not computed again. Knows nothing of requests.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed
from homeport.engines.text.executor import Logits, TokenBatch
from homeport.engines.text.executors.llama.context import LlamaContext
from homeport.engines.text.executors.llama.sequence_state import COUNT_BYTES, SequenceFormat
from homeport.engines.text.kv_rows import KVRows
from homeport.engines.text.token_batches import select


class KVStreams:
    """The KV of one model's sequences. `streams` None: all are in the long context, which is then opened at once."""

    def __init__(self, streams: LlamaContext | None, open_long: Callable[[], LlamaContext]) -> None:
        self._short = streams
        self._open_long = open_long
        self._long = None if streams else open_long()
        self._opening: Future[LlamaContext] | None = None
        self._format: SequenceFormat | None = None  # of the sequence read last
        self._in_long: set[int] = set()  # sequences in the long context, if there are streams

    @property
    def short_context(self) -> LlamaContext:
        """The context of the streams, or the long context if there are none."""
        return self._short or self.long_context

    @property
    def long_context(self) -> LlamaContext:
        """The context of long sequences. Raises Unavailable if it no longer fits in memory."""
        if self._long is None:
            opening, self._opening = self._opening, None  # the next call tries again after a failure
            self._long = opening.result() if opening else self._open_long()
        return self._long

    @property
    def contexts(self) -> list[LlamaContext]:
        """The contexts that are open now."""
        return [context for context in (self._short, self._long) if context is not None]

    def prepare_length(self, n_tokens: int) -> None:
        """Open the long context in a thread if a sequence of this length will need it."""
        if self._long is None and self._opening is None and self._short and n_tokens > self._short.window:
            self._opening = Future()
            threading.Thread(target=_set_result, args=(self._opening, self._open_long), daemon=True).start()

    def decode(self, batch: TokenBatch) -> Logits:
        """Compute a batch; return rows (M, vocabulary), valid until the next call. Raises as `LlamaContext.decode`."""
        short = self._short
        if short is None:
            return self.long_context.decode(batch)
        is_beyond = batch.positions >= short.window
        if not self._in_long and not is_beyond.any():
            self.prepare_length(int(batch.positions.max()) + short.window // 4)
            return short.decode(batch)
        for sequence in set(batch.sequences[is_beyond].tolist()) - self._in_long:
            self._move_to_long(short, sequence, is_empty=0 in batch.positions[batch.sequences == sequence])
        in_long = np.isin(batch.sequences, list(self._in_long))
        if in_long.all():
            return self.long_context.decode(batch)
        if not in_long.any():
            return short.decode(batch)
        return self._decode_both(short, batch, in_long)

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Copy the first `n_tokens` of `source` into the empty sequence `target`, into a stream if they are few."""
        if self._context_of(source) is self._short:
            self._short.fork(source, target, n_tokens)
            return
        self.long_context.fork(source, target, n_tokens)
        if self._short is None:
            return
        self._in_long.add(target)
        if n_tokens <= self._short.window // 2:  # with room to grow, so that it does not move again soon
            self._short.restore(target, self.long_context.save(target))
            self.release([target])

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence."""
        self._context_of(sequence).trim(sequence, n_tokens)

    def release(self, sequences: Sequence[int]) -> None:
        """Empty these sequences."""
        for sequence in sequences:
            self.trim(sequence, 0)
            self._in_long.discard(sequence)

    def save(self, sequence: int) -> bytes:
        """Return a sequence's KV as bytes that any context of this model can restore."""
        return self._context_of(sequence).save(sequence)

    def restore(self, sequence: int, state: bytes, n_tokens: int) -> None:
        """Load the saved KV of `n_tokens` into an empty sequence. Raises EngineFailed if it cannot."""
        if self._short is not None and n_tokens > self._short.window:
            self._in_long.add(sequence)
        self._context_of(sequence).restore(sequence, state)

    def read_rows(self, sequence: int, layers: int, width: int) -> KVRows:
        """Return a copy of a sequence's KV. Raises EngineFailed if its format is not known."""
        saved = self._context_of(sequence).read(sequence)
        self._format = SequenceFormat.of(saved, layers, width)
        return self._format.unpack(saved)

    def append_rows(self, sequence: int, rows: KVRows, start: int) -> None:
        """Store the rows from `start` on. Raises EngineFailed without room, or if none was read yet."""
        short, format = self._short, self._known_format
        if short is not None and sequence not in self._in_long and rows.end > short.window:
            self._move_to_long(short, sequence, is_empty=start == 0)
        self._context_of(sequence).append_rows(sequence, rows, start, format)

    def pack_rows(self, rows: KVRows) -> bytes:
        """Return rows as `save` would. Raises EngineFailed if no sequence was read yet."""
        return self._known_format.pack(rows).tobytes()

    def unpack_rows(self, state: bytes, layers: int, width: int) -> KVRows:
        """Return what `save` returned as rows. Raises EngineFailed if its format is not known."""
        saved = memoryview(state)[COUNT_BYTES:]
        self._format = SequenceFormat.of(saved, layers, width)
        return self._format.unpack(saved)

    @property
    def _known_format(self) -> SequenceFormat:
        if self._format is None:
            raise EngineFailed("The format of saved sequences is not known: none was read.")
        return self._format

    def unset_adapter(self, adapter: str) -> None:
        """Stop using an adapter that is about to be freed."""
        for context in self.contexts:
            context.unset_adapter(adapter)

    def close(self) -> None:
        """Free all contexts. May be called twice."""
        if self._opening is not None and self._opening.exception() is None:
            self._long = self._opening.result()
        for context in self.contexts:
            context.close()

    def _context_of(self, sequence: int) -> LlamaContext:
        return self.long_context if self._short is None or sequence in self._in_long else self._short

    def _move_to_long(self, short: LlamaContext, sequence: int, *, is_empty: bool) -> None:
        if not is_empty:
            self.long_context.restore(sequence, short.save(sequence))
            short.trim(sequence, 0)
        self._in_long.add(sequence)

    def _decode_both(self, short: LlamaContext, batch: TokenBatch, in_long: NDArray[np.bool_]) -> Logits:
        """Compute the part in streams, then the part in the long context; return the rows in the batch's order."""
        in_short = ~in_long
        from_short, from_long = in_short[batch.logits_indices], in_long[batch.logits_indices]
        short_rows = short.decode(select(batch, in_short))
        rows = np.empty((len(batch.logits_indices), short_rows.shape[1]), np.float32)
        rows[from_short] = short_rows
        rows[from_long] = self.long_context.decode(select(batch, in_long))
        return rows


def _set_result(future: "Future[LlamaContext]", open_context: Callable[[], LlamaContext]) -> None:
    try:
        future.set_result(open_context())
    except BaseException as error:  # raised where the result is read
        future.set_exception(error)
