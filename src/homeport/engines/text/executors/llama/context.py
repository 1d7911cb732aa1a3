"""One llama.cpp context: a KV cache and the batches computed in it.

Unified: all sequences use the same cells, so forks share them, and every token attends to all of them. Otherwise there
is one stream of cells per sequence: a token attends to its own stream, and a fork copies it. Streams are computed
together only if their ids are adjacent in the batch. Knows nothing of requests, or of other contexts of the same model.
"""

import sys
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.llama.library import LlamaLibrary
from homeport.engines.llama.threadpool import LlamaThreadpool
from homeport.engines.text.executor import Logits, MediaRun, TokenBatch
from homeport.engines.text.executors.llama.batch_arrays import LlamaBatch, split_media
from homeport.engines.text.executors.llama.rope_positions import RopePositions
from homeport.engines.text.executors.llama.sequence_state import SequenceFormat
from homeport.engines.text.kv_rows import KVRows
from homeport.engines.text.token_batches import select

NO_CELLS = "no_cells"
"""`code` of the EngineFailed that `decode` raises if the cache is full: nothing was computed."""

MICRO_BATCH = 512
"""Tokens llama.cpp computes at a time; more are no faster on CPUs and need more memory."""

_TO_THE_END = -1
_FLOAT_BYTES = np.dtype(np.float32).itemsize
_WORD = 4  # bytes of the counts at the start of a saved sequence


class ContextSize(msgspec.Struct, frozen=True):
    """The sizes of a context. `cells`: of all sequences; `batch`: maximum tokens of one call.

    `micro_batch`: the tokens of it that are computed at a time.
    """

    cells: int
    sequences: int
    batch: int
    threadpool: LlamaThreadpool
    unified: bool
    micro_batch: int = MICRO_BATCH


class LlamaContext:
    """A context of a loaded model, which its owner frees later. Raises Unavailable if it does not fit in memory.

    `adapters`: the loaded adapters by the name that batches use. `positions`: those of its sequences, if pictures take
    fewer than they have embeddings. `buffers`: bytes by name of the buffer's device.
    """

    def __init__(
        self,
        library: LlamaLibrary,
        model: object,
        size: ContextSize,
        *,
        vocabulary: int,
        can_trim: bool,
        adapters: Mapping[str, object],
        positions: RopePositions | None = None,
    ) -> None:
        self._library = library
        self._ffi = library.ffi
        self._api = library.api
        self._size = size
        self._vocabulary = vocabulary
        self._can_trim = can_trim
        self._adapters = adapters
        self._positions = positions
        self._adapter = ""  # the one currently set
        library.log.take_report()
        self._context = _create(library, model, size)
        self.buffers = library.log.take_report().buffers
        self._threads = 0  # number of computing threads; not set yet
        self._memory = self._api.llama_get_memory(self._context)
        self._streams = 1 if size.unified else size.sequences
        self.cells = int(self._api.llama_n_ctx(self._context))
        self.window = int(self._api.llama_n_ctx_seq(self._context))
        self.batch = min(size.batch, int(self._api.llama_n_batch(self._context)))
        self._arrays = LlamaBatch(self._ffi, self.batch)
        # An empty sequence is saved as the header and zero cells in each stream.
        self._header = len(self._read(0)) - _WORD * (self._streams + 1)

    def decode(self, batch: TokenBatch) -> Logits:
        """Compute a batch; return rows (M, vocabulary), a view of llama.cpp's own buffer, valid until the next call.

        Raises EngineFailed, with code NO_CELLS if the cache is full (then nothing was computed or stored).
        """
        self.set_adapter(batch.adapter)
        self._threads = self._size.threadpool.prepare(self._context, self._threads)
        if batch.media:
            return self._decode_media(batch)
        return self._compute(batch, self._arrays.fill(batch, self._translate(batch)))

    def _decode_media(self, batch: TokenBatch) -> Logits:
        """Compute a batch with embeddings in several calls; return the rows in the batch's order."""
        logits = np.empty((len(batch.logits_indices), self._vocabulary), np.float32)
        for indices, run in split_media(batch, min(self.batch, self._size.micro_batch)):
            is_part = np.zeros(len(batch.tokens), np.bool_)
            is_part[indices] = True
            part = select(msgspec.structs.replace(batch, media=()), is_part)
            if run is None:
                computed = self._compute(part, self._arrays.fill(part, self._translate(part)))
            else:
                computed = self._compute_run(part, run)
            logits[is_part[batch.logits_indices]] = computed
        return logits

    def _compute_run(self, part: TokenBatch, run: MediaRun) -> Logits:
        """Compute embeddings, all of them in one batch of the kernels if they attend to each other."""
        sequence, before = int(part.sequences[0]), int(part.positions[0])
        positions = part.positions if self._positions is None else self._positions.grid(sequence, before, run)
        llama_batch = self._arrays.fill_rows(part, run.rows, positions)
        if not run.is_causal:
            self._api.llama_set_causal_attn(self._context, False)
        try:
            computed = self._compute(part, llama_batch)
        finally:
            if not run.is_causal:
                self._api.llama_set_causal_attn(self._context, True)
        if self._positions is not None and run.is_last:
            self._positions.add(sequence, before + len(run.rows), run)
        return computed

    def _translate(self, batch: TokenBatch) -> NDArray[np.int32]:
        if self._positions is None:
            return batch.positions
        return self._positions.translate(batch.sequences, batch.positions)

    def _compute(self, batch: TokenBatch, llama_batch: object) -> Logits:
        code = self._api.llama_decode(self._context, llama_batch)
        if code == 1:
            raise EngineFailed(
                f"No room for {len(batch.tokens)} tokens: all {self.cells} cells of the KV cache are in use.",
                code=NO_CELLS,
            )
        if code != 0:
            reason = self._library.log.take_errors()
            message = f"llama.cpp refused a batch of {len(batch.tokens)} tokens (code {code}). {reason}"
            raise EngineFailed(message.strip())
        rows = len(batch.logits_indices)
        if rows == 0:
            return np.empty((0, self._vocabulary), np.float32)
        logits = self._api.llama_get_logits(self._context)
        if logits == self._ffi.NULL:
            raise EngineFailed("This model computes no logits: it does not generate text.")
        view: memoryview[int] = memoryview(self._ffi.buffer(logits, rows * self._vocabulary * _FLOAT_BYTES))
        return np.frombuffer(view, np.float32).reshape(rows, self._vocabulary)

    def set_adapter(self, adapter: str) -> None:
        """Use an adapter from now on, or none. Raises EngineFailed if llama.cpp refuses it."""
        if adapter == self._adapter:
            return
        handles = [self._adapters[adapter]] if adapter else []
        pointers, scales = self._ffi.new("llama_adapter_lora *[]", handles), self._ffi.new("float[]", [1.0])
        if self._api.llama_set_adapters_lora(self._context, pointers, len(handles), scales) != 0:
            raise EngineFailed(f"llama.cpp refused the adapter. {self._library.log.take_errors()}".strip())
        self._adapter = adapter

    def unset_adapter(self, adapter: str) -> None:
        """Stop using an adapter that is about to be freed."""
        if adapter == self._adapter:
            self.set_adapter("")

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Copy the first `n_tokens` of `source` into the empty sequence `target`."""
        if self._size.unified and self._can_trim:
            self._api.llama_memory_seq_cp(self._memory, source, target, 0, self._position(source, n_tokens))
            return
        # Recurrent states and streams can only be copied whole. llama.cpp copies a whole stream at the next step, and
        # its content is invalid before that. So a stream's cells are read and written here instead.
        if self._size.unified:
            self._api.llama_memory_seq_cp(self._memory, source, target, 0, _TO_THE_END)
        else:
            state = self._read(source)
            state[: self._header] = self._head(target)
            self._write(target, state)
        if self._can_trim:
            self.trim(target, n_tokens)

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence. Raises EngineFailed if the model cannot."""
        if not self._api.llama_memory_seq_rm(self._memory, sequence, self._position(sequence, n_tokens), _TO_THE_END):
            raise EngineFailed(f"This model's state cannot be cut at {n_tokens} tokens.")

    def _position(self, sequence: int, n_tokens: int) -> int:
        return n_tokens if self._positions is None else self._positions.position(sequence, n_tokens)

    def save(self, sequence: int) -> bytes:
        """Return a sequence's KV as bytes that any context of this model can restore."""
        return _change_stream_count(bytes(self._read(sequence)), self._header, self._streams, 1)

    def restore(self, sequence: int, state: bytes) -> None:
        """Load saved KV into an empty sequence. Raises EngineFailed if it cannot; the sequence is then empty."""
        self._write(sequence, self._head(sequence) + _change_stream_count(state, 0, 1, self._streams))

    def read(self, sequence: int) -> memoryview:
        """Return a sequence as it is saved, from the number of its cells on."""
        return _body(self._read(sequence), self._header, self._streams)

    def append_rows(self, sequence: int, rows: KVRows, start: int, format: SequenceFormat) -> None:
        """Store the rows from `start` on after a sequence's last token. Raises EngineFailed if there is no room.

        llama.cpp restores a whole sequence only. In a unified cache, the rows become a sequence of their own first, and
        their cells are then shared with this one; a stream is written again.
        """
        if start and self._size.unified:
            spare = self._size.sequences
            self._restore_rows(spare, rows.since(start), format)
            self._api.llama_memory_seq_cp(self._memory, spare, sequence, 0, _TO_THE_END)
            self.trim(spare, 0)
        else:
            self.trim(sequence, 0)
            self._restore_rows(sequence, rows, format)

    def _restore_rows(self, sequence: int, rows: KVRows, format: SequenceFormat) -> None:
        self._write(sequence, format.pack(rows, self._head(sequence), self._streams))

    def _head(self, sequence: int) -> bytes:
        """Return the header of an empty sequence, which may contain the sequence's id."""
        return bytes(self._read(sequence)[: self._header])

    def _read(self, sequence: int) -> memoryview:
        """Return a sequence as llama.cpp saves it: the build's header, the number of streams, each stream's cells."""
        size = self._api.llama_state_seq_get_size(self._context, sequence)
        state = self._ffi.new("uint8_t[]", size)
        written = self._api.llama_state_seq_get_data(self._context, state, size, sequence)
        if written == 0:
            raise EngineFailed("llama.cpp did not save a sequence.")
        return memoryview(self._ffi.buffer(state, written))

    def _write(self, sequence: int, state: memoryview | bytes | NDArray[np.uint8]) -> None:
        read = self._api.llama_state_seq_set_data(self._context, self._ffi.from_buffer(state), len(state), sequence)
        if read == 0:
            self.trim(sequence, 0)
            raise EngineFailed(f"llama.cpp refused a saved sequence. {self._library.log.take_errors()}".strip())

    def close(self) -> None:
        """Free it. May be called twice."""
        if self._context is not None:
            self._api.llama_free(self._context)
            self._context = None


def _create(library: LlamaLibrary, model: object, size: ContextSize) -> object:
    params = library.api.llama_context_default_params()
    params.n_ctx = size.cells
    params.n_batch = size.batch
    params.n_ubatch = min(size.batch, size.micro_batch)
    params.n_seq_max = size.sequences + size.unified  # one more, for rows that are appended
    params.n_outputs_max_per_seq = 0  # as many as the batch: an echoed prompt needs every row
    params.n_threads = params.n_threads_batch = size.threadpool.threads
    params.kv_unified = size.unified
    params.swa_full = False  # a sliding window is never trimmed, so tokens outside it need not be kept
    library.log.take_errors()
    context = library.api.llama_init_from_model(model, params)
    if context == library.ffi.NULL:
        raise Unavailable(
            f"A context of {size.cells} tokens cannot be created: {library.log.take_errors() or 'no reason given'}"
        )
    return context


def _change_stream_count(state: bytes, header: int, streams: int, wanted: int) -> bytes:
    """Convert a sequence saved by a context of `streams` streams to one of `wanted` streams, without the header.

    Raises EngineFailed for any other content.
    """
    body = _body(memoryview(state), header, streams)
    return wanted.to_bytes(_WORD, sys.byteorder) + body + bytes(_WORD * (wanted - 1))


def _body(state: memoryview, header: int, streams: int) -> memoryview:
    """Return the part of a saved sequence from the number of its cells on.

    The number of streams comes first, then for each stream the number of its cells and the cells. All cells of a
    sequence are in one stream. Raises EngineFailed for any other content.
    """
    words = bytes(state[header : header + _WORD * (streams + 1)])
    if len(words) < _WORD * (streams + 1) or int.from_bytes(words[:_WORD], sys.byteorder) != streams:
        raise EngineFailed(f"Invalid saved sequence: it is not from a cache of {streams} streams.")
    before = 0  # streams without cells
    while before < streams - 1 and not any(words[(before + 1) * _WORD : (before + 2) * _WORD]):
        before += 1
    end = len(state) - (streams - 1 - before) * _WORD
    if any(state[end:]):
        raise EngineFailed("Invalid saved sequence: more than one stream has cells.")
    return state[header + (before + 1) * _WORD : end]
