"""Logits and KV through llama.cpp: the executor seam on top of its C API.

Sequences live in one unified cache (forks share cells) or in one stream each (faster to decode many, forks copy a
whole stream). Knows nothing of requests, sampling or which sequence belongs to whom.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

from homeport.domain.errors import EngineFailed, InvalidRequest, Unavailable
from homeport.engines.text.executor import Batch, Logits, Traits, Vocabulary
from homeport.engines.text.executors.llama import memory, vocabulary
from homeport.engines.text.executors.llama.library import Library, kernels

NO_CELLS = "no_cells"
"""`code` of the EngineFailed that `forward` raises when the cache has no room left: nothing was computed."""

_MICRO_BATCH = 512  # tokens llama.cpp computes at a time; more gained nothing on CPUs and costs memory
_TO_THE_END = -1
_FLOAT_BYTES = np.dtype(np.float32).itemsize

logger = logging.getLogger("homeport.llama")


class LlamaOptions(msgspec.Struct, frozen=True):
    """How to load a model. None means: the model's window, cells as memory allows, physical cores, the wheel.

    `batch`: tokens one `forward` takes. `library`: a shared object or a folder of kernels. `unified`: one cache for
    all sequences, else one stream of window cells each.
    """

    window: int | None = None
    cells: int | None = None
    sequences: int = 32
    batch: int = 2048
    threads: int | None = None
    library: Path | None = None
    unified: bool = True


class LlamaExecutor:
    """One model with one context. Fulfils `homeport.engines.text.executor.Executor`.

    Takes a loaded model and owns it. Raises Unavailable when the context does not fit.
    """

    def __init__(self, library: Library, model: object, options: LlamaOptions) -> None:
        self._library = library
        self._ffi = library.ffi
        self._api = library.api
        self._model = model
        self._unified = options.unified
        self._metadata = _metadata(library, model)
        self._vocabulary = vocabulary.read(library, model)
        self._vocab = self._api.llama_model_get_vocab(model)
        self.cell_bytes = memory.cell_bytes(self._metadata, _shape(self._api, model))
        room = memory.room(
            trained=self._api.llama_model_n_ctx_train(model),
            window=options.window,
            cells=options.cells,
            sequences=options.sequences,
            unified=options.unified,
            per_cell=self.cell_bytes,
        )
        self._context = _context(library, model, options, room)
        self._memory = self._api.llama_get_memory(self._context)
        self._traits = Traits(
            window=min(room.window, self._api.llama_n_ctx_seq(self._context)),
            cells=self._api.llama_n_ctx(self._context),
            sequences=options.sequences,
            batch=min(options.batch, self._api.llama_n_batch(self._context)),
            shares_cells=options.unified,
            can_trim=_can_trim(self._api, model),
        )
        self._arrays = _Arrays(self._ffi, self._traits.batch)

    @property
    def traits(self) -> Traits:
        """What it can do and how much it holds."""
        return self._traits

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens."""
        return self._vocabulary

    @property
    def metadata(self) -> Mapping[str, str]:
        """The GGUF file's metadata; arrays are left out by llama.cpp."""
        return self._metadata

    @property
    def kernels(self) -> str:
        """Which kernels compute, in words."""
        return str(self._library)

    def tokenise(self, text: str, *, special: bool) -> list[int]:
        """Text to ids, from any thread. Raises InvalidRequest for half a surrogate pair, which no UTF-8 can say."""
        try:
            raw = text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"The text is not valid Unicode: {error.reason}.") from error
        # A token is at least one byte but for the space some vocabularies put in front.
        room = len(raw) + 8
        ids = self._ffi.new("llama_token[]", room)
        count = self._api.llama_tokenize(self._vocab, raw, len(raw), ids, room, False, special)
        if count < 0:
            raise EngineFailed(f"llama.cpp needs {-count} tokens for {len(raw)} bytes of text.")
        return list(self._ffi.unpack(ids, count))

    def forward(self, batch: Batch) -> Logits:
        """Compute a batch; rows (M, vocabulary) are a view of llama.cpp's own buffer, valid until the next call.

        Raises EngineFailed, with code NO_CELLS when the cache is full (then nothing was computed or kept).
        """
        taken = self._arrays.fill(batch)
        code = self._api.llama_decode(self._context, taken)
        if code == 1:
            raise EngineFailed(
                f"No room for {len(batch.tokens)} tokens: all {self._traits.cells} cells of the KV cache are in use.",
                code=NO_CELLS,
            )
        if code != 0:
            said = self._library.log.complaints()
            raise EngineFailed(f"llama.cpp refused a batch of {len(batch.tokens)} tokens (code {code}). {said}".strip())
        rows = len(batch.wanted)
        if rows == 0:
            return np.empty((0, self._vocabulary.size), np.float32)
        logits = self._api.llama_get_logits(self._context)
        if logits == self._ffi.NULL:
            raise EngineFailed("This model computes no logits: it does not generate text.")
        view: memoryview[int] = memoryview(self._ffi.buffer(logits, rows * self._vocabulary.size * _FLOAT_BYTES))
        return np.frombuffer(view, np.float32).reshape(rows, self._vocabulary.size)

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Make `target` (empty) begin with the first `n_tokens` of `source`."""
        if self._unified and self._traits.can_trim:
            self._api.llama_memory_seq_cp(self._memory, source, target, 0, n_tokens)
            return
        # Streams and recurrent states can only be copied whole (llama.cpp aborts on less); the rest is cut off after.
        self._api.llama_memory_seq_cp(self._memory, source, target, 0, _TO_THE_END)
        if self._traits.can_trim:
            self._cut(target, n_tokens)

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence. Raises EngineFailed for a model that cannot."""
        self._cut(sequence, n_tokens)

    def release(self, sequences: Sequence[int]) -> None:
        """Empty these sequences."""
        for sequence in sequences:
            self._cut(sequence, 0)

    def close(self) -> None:
        """Free context and model; the kernels stay loaded. May be called twice."""
        if self._context is not None:
            self._api.llama_free(self._context)
            self._api.llama_model_free(self._model)
            self._context = None

    def _cut(self, sequence: int, n_tokens: int) -> None:
        if not self._api.llama_memory_seq_rm(self._memory, sequence, n_tokens, _TO_THE_END):
            raise EngineFailed(f"This model's state cannot be cut at {n_tokens} tokens.")


class _Arrays:
    """A `llama_batch` over numpy arrays, filled by slices. The pointers in it are set once."""

    def __init__(self, ffi: Any, size: int) -> None:
        self._tokens = np.zeros(size, np.int32)
        self._positions = np.zeros(size, np.int32)
        self._sequences = np.zeros(size, np.int32)
        self._wanted = np.zeros(size, np.int8)
        self._counts = np.ones(size, np.int32)
        # seq_id[i] points to the i-th token's list of sequences: here always one, in an array of its own.
        first = self._sequences.ctypes.data
        self._lists = np.arange(size, dtype=np.uintp) * np.uintp(4) + np.uintp(first)
        self._batch = ffi.new("llama_batch *")
        self._batch.token = ffi.from_buffer("int32_t[]", self._tokens)
        self._batch.pos = ffi.from_buffer("int32_t[]", self._positions)
        self._batch.n_seq_id = ffi.from_buffer("int32_t[]", self._counts)
        self._batch.seq_id = ffi.cast("int32_t **", self._lists.ctypes.data)
        self._batch.logits = ffi.from_buffer("int8_t[]", self._wanted)

    def fill(self, batch: Batch) -> object:
        """Copy a batch in; the `llama_batch` to hand over. Raises EngineFailed when it is longer than `size`."""
        count = len(batch.tokens)
        if not 0 < count <= len(self._tokens):
            raise EngineFailed(f"A batch of {count} tokens was planned; 1 to {len(self._tokens)} can be computed.")
        self._tokens[:count] = batch.tokens
        self._positions[:count] = batch.positions
        self._sequences[:count] = batch.sequences
        self._wanted[:count] = 0
        self._wanted[batch.wanted] = 1
        self._batch.n_tokens = count
        return self._batch[0]


def load(weights: Path, options: LlamaOptions) -> LlamaExecutor:
    """Load a GGUF file. Raises Unavailable when it, the kernels or the memory do not allow it."""
    library = kernels(options.library)
    _check_header(weights)
    api, ffi = library.api, library.ffi
    library.log.complaints()
    model = api.llama_model_load_from_file(os.fsencode(weights), api.llama_model_default_params())
    if model == ffi.NULL:
        raise Unavailable(f"{weights.name} cannot be loaded: {library.log.complaints() or 'no reason given'}")
    try:
        if api.llama_model_has_encoder(model):
            raise Unavailable(f"{weights.name} is an encoder-decoder model; only decoders can be served.")
        return LlamaExecutor(library, model, options)
    except BaseException:
        api.llama_model_free(model)
        raise


def _check_header(weights: Path) -> None:
    try:
        with weights.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise Unavailable(f"{weights.name} cannot be read: {error.strerror}.") from error
    if magic != b"GGUF":
        raise Unavailable(f"{weights.name} is not a GGUF file.")


def _context(library: Library, model: object, options: LlamaOptions, room: memory.Room) -> object:
    api = library.api
    params = api.llama_context_default_params()
    params.n_ctx = room.cells
    params.n_batch = options.batch
    params.n_ubatch = min(options.batch, _MICRO_BATCH)
    params.n_seq_max = options.sequences
    params.n_outputs_max_per_seq = 0  # as many as the batch: an echoed prompt wants every row
    params.n_threads = params.n_threads_batch = options.threads or _cores()
    params.kv_unified = options.unified
    params.swa_full = False  # a sliding window is not trimmed anyway, so it need not keep what slid out
    library.log.complaints()
    context = api.llama_init_from_model(model, params)
    if context == library.ffi.NULL:
        raise Unavailable(f"No context of {room.cells} tokens: {library.log.complaints() or 'no reason given'}")
    return context


def _can_trim(api: Any, model: object) -> bool:
    return not (
        api.llama_model_is_recurrent(model) or api.llama_model_is_hybrid(model) or api.llama_model_n_swa(model) > 0
    )


def _cores() -> int:
    """Physical cores this process may use: two threads on one core slow each other's kernels down."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, psutil.cpu_count(logical=False) or allowed)


def _shape(api: Any, model: object) -> memory.Shape:
    return memory.Shape(
        layers=api.llama_model_n_layer(model),
        width=api.llama_model_n_embd(model),
        heads=api.llama_model_n_head(model),
        kv_heads=api.llama_model_n_head_kv(model),
    )


def _metadata(library: Library, model: object) -> dict[str, str]:
    """Everything the file says of itself, values as text of any length."""
    api, ffi = library.api, library.ffi

    def read(function: Any, index: int) -> str:
        # The length it returns does not depend on the room given, so the first call only asks for it.
        length = function(model, index, ffi.NULL, 0)
        text = ffi.new("char[]", length + 1)
        function(model, index, text, length + 1)
        return bytes(ffi.buffer(text, length)).decode("utf-8", "replace")

    return {
        read(api.llama_model_meta_key_by_index, index): read(api.llama_model_meta_val_str_by_index, index)
        for index in range(api.llama_model_meta_count(model))
    }
