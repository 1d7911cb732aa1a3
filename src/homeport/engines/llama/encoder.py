"""Embeds texts with llama.cpp: one loaded embedding model that computes batches of token sequences.

Each sequence of a batch gives one vector, pooled as the model's file defines. Sequences longer than most models'
windows use a context of their own, opened for the first one. Several batches are computed by a thread and a context
each, which never wait for each other, unlike the threads that share a batch. Only `tokenize` is thread-safe. Knows
nothing of requests or of the use of vectors.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.llama import memory_pages
from homeport.engines.llama.c_api import CONTROL
from homeport.engines.llama.library import kernels
from homeport.engines.llama.model import LlamaModel
from homeport.engines.llama.threadpool import LlamaThreadpool
from homeport.engines.processors import FEW_BARRIERS, cores

Vectors = NDArray[np.float32]
Ids = Sequence[int] | NDArray[np.int32]

POOLINGS = {1: "mean", 2: "cls", 3: "last"}
"""llama.cpp's numbers of the supported poolings."""

_BATCH = 256  # tokens computed together: attention spans the whole batch, so larger ones are no faster on CPUs
_SEQUENCES = 64
_TILE = 64  # tokens per tile of flash attention in the CPU kernels; fewer are computed one by one, slowly
_BRIEF = 48  # up to this many tokens, plain attention is faster than flash attention over a whole tile
_SHORT = 2048  # tokens of the context that is always open, if the window is at least as long
_AT_ONCE, _TOKENS_AT_ONCE = 4, 512  # measured with two: each batch has a context, whose memory grows with its tokens
_WINDOW = 8192  # memory of attention without a cache grows with the square of this


class EncoderOptions(msgspec.Struct, frozen=True):
    """How to load a model. None means: the model's own window (at most 8,192 tokens), physical cores, the wheel.

    `batch`: tokens computed together if sequences are shorter; `sequences`: how many of them at most. `is_plain`:
    llama.cpp chooses the kind of attention for batches of all sizes; benchmarks compare with that. `gpu_layers`: layers
    on GPUs; None: all if there is a GPU.
    """

    window: int | None = None
    batch: int = _BATCH
    sequences: int = _SEQUENCES
    threads: int | None = None
    library: Path | None = None
    is_plain: bool = False
    gpu_layers: int | None = None


class EmbeddingEncoder:
    """One loaded model. `window`: tokens of one sequence, those around a text included; `dimensions`: of a vector.

    `batches_at_once`: how many batches of at most `tokens_at_once` are computed at the same time.
    Owns the model and the thread pool that it receives. Raises Unavailable if the file defines no pooling or the
    context does not fit in memory.
    """

    def __init__(self, model: LlamaModel, threadpool: LlamaThreadpool, options: EncoderOptions) -> None:
        self._library, self._model, self._threadpool = model.library, model, threadpool
        api, handle = model.library.api, model.handle
        trained = int(api.llama_model_n_ctx_train(handle))
        self.metadata = model.metadata
        self.kernels = str(model.library)
        self.device = str(model.placement)
        self.dimensions = int(api.llama_model_n_embd(handle))
        self._vocab = api.llama_model_get_vocab(handle)
        self.vocabulary = int(api.llama_vocab_n_tokens(self._vocab))
        self.window = min(trained, options.window or _WINDOW)
        self.batch = options.batch
        self.sequences = options.sequences
        self._short_tokens = max(self.batch, min(self.window, _SHORT))
        self._short = self._open(self._short_tokens)
        self._long: _Context | None = None
        self._more: list[_Contexts] = []
        self._free: list[_Contexts] = []  # those of batches that are not computed now
        # Measured for models without a cache on CPUs; for all others llama.cpp chooses.
        self._is_tiled = not (options.is_plain or self._short.has_cache) and model.is_on_cpu
        self._brief = self._open(_BRIEF, flash=False) if self._is_tiled else None
        self.batches_at_once = threadpool.threads if self._is_tiled and threadpool.threads <= _AT_ONCE else 1
        self.tokens_at_once = min(self._short_tokens, _TOKENS_AT_ONCE)
        self._executor = ThreadPoolExecutor(self.batches_at_once, "encoder")
        self._free.append(_Contexts(self._brief, self._short, None))
        if self._short.pooling not in POOLINGS:
            self.close()
            raise Unavailable("This model's file does not define a supported pooling (mean, cls or last).")
        self.pooling = POOLINGS[self._short.pooling]

    def _open(self, tokens: int, *, flash: bool | None = None) -> "_Context":
        size = _Size(tokens, self.sequences, self._threadpool, flash)
        return _Context(self._model, size, self.dimensions, self.vocabulary)

    @property
    def device_bytes(self) -> int:
        """The memory on GPUs now: weights and contexts."""
        contexts = (self._brief, self._short, self._long)  # of models on GPUs there are no more
        return self._model.device_bytes + sum(context.device_bytes for context in contexts if context is not None)

    def tokenize(self, text: str, *, whole: bool = True) -> list[int]:
        """Return the ids of plain text. `whole`: with the tokens that the model uses around a text. From any thread.

        Raises InvalidRequest for half a surrogate pair, which UTF-8 cannot encode.
        """
        return self._model.tokenize(text, special=False, whole=whole)

    def special_tokens(self) -> tuple[list[int], list[int]]:
        """Return the ids that the model uses before and after a text."""
        inner, whole = self.tokenize("a", whole=False), self.tokenize("a")
        front = next((at for at in range(len(whole)) if whole[at : at + len(inner)] == inner), 0)
        return whole[:front], whole[front + len(inner) :]

    def is_control(self, token: int) -> bool:
        """Return whether a token is a control token."""
        return bool(self._library.api.llama_vocab_get_attr(self._vocab, token) & CONTROL)

    def encode(self, sequences: Sequence[Ids]) -> Vectors:
        """Return one row of length 1 for each sequence; float32 (n, dimensions), owned by the caller.

        At most `sequences` of them, none empty or longer than `window`, together at most `batch` tokens, or one alone.
        Raises EngineFailed if llama.cpp fails.
        """
        tokens = sum(map(len, sequences))
        if tokens > self._short_tokens and self._long is None:
            self._long = self._open(self.window)
        return self._encode(sequences, _Contexts(self._brief, self._short, self._long), is_alone=True)

    def start(self, sequences: Sequence[Ids]) -> Future[Vectors]:
        """Begin to compute a batch of at most `tokens_at_once` on a thread of its own; its rows are those of `encode`.

        At most `batches_at_once` are computed at the same time, none of them while `encode` runs. Raises Unavailable if
        memory is too small for one more; the result raises EngineFailed.
        """
        contexts = self._free.pop() if self._free else self._open_more()
        return self._executor.submit(self._encode_aside, sequences, contexts)

    def _open_more(self) -> "_Contexts":
        self._more.append(_Contexts(self._open(_BRIEF, flash=False), self._open(self.tokens_at_once), None))
        return self._more[-1]

    def _encode_aside(self, sequences: Sequence[Ids], contexts: "_Contexts") -> Vectors:
        try:
            return self._encode(sequences, contexts, is_alone=False)
        finally:
            self._free.append(contexts)

    def _encode(self, sequences: Sequence[Ids], contexts: "_Contexts", *, is_alone: bool) -> Vectors:
        tokens = sum(map(len, sequences))
        context = self._choose(contexts, tokens)
        padded = [*sequences, *self._padding(context, tokens, len(sequences))]
        rows = context.encode(padded, is_alone=is_alone)[: len(sequences)]
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))[:, None]
        if not np.isfinite(lengths).all() or not lengths.all():
            raise EngineFailed("The model returned a vector of length 0.")
        return np.asarray(rows / lengths, np.float32)

    def _padding(self, context: "_Context", tokens: int, count: int) -> list[list[int]]:
        """Return a sequence that pads a batch of `tokens` tokens if that saves time, otherwise nothing.

        To a tile, or to a whole batch if it is the largest so far: llama.cpp allocates memory for each of these.
        """
        if not self._is_tiled or count >= self.sequences:
            return []
        if context.largest < tokens < self.batch <= context.tokens and self.batch - tokens <= self.window:
            return [[0] * (self.batch - tokens)]
        return [[0] * (_TILE - tokens)] if self._short_tokens >= _TILE and _BRIEF < tokens < _TILE else []

    def _choose(self, contexts: "_Contexts", tokens: int) -> "_Context":
        if contexts.brief is not None and tokens <= _BRIEF:
            return contexts.brief
        if contexts.long is not None and tokens > self._short_tokens:
            return contexts.long
        return contexts.short

    def release_large_contexts(self) -> None:
        """Free the context of long sequences: it is large and rarely needed."""
        if self._long is not None:
            self._long.close()
            self._long = None

    def close(self) -> None:
        """Free contexts and model; the kernels stay loaded. May be called twice."""
        self._executor.shutdown()
        self.release_large_contexts()
        for more in self._more:
            more.close()
        self._more.clear()
        for each in (self._brief, self._short):
            if each is not None:
                each.close()
        self._threadpool.close()
        self._model.close()


def load(weights: Path, options: EncoderOptions) -> EmbeddingEncoder:
    """Load a GGUF file. Raises Unavailable if the file or the kernels cannot be used, or memory is too small."""
    model = LlamaModel(kernels(options.library), weights, options.gpu_layers)
    threadpool = LlamaThreadpool(model.library, options.threads or cores(), FEW_BARRIERS)
    try:
        return EmbeddingEncoder(model, threadpool, options)
    except BaseException:
        threadpool.close()
        model.close()
        raise


class _Size(msgspec.Struct, frozen=True):
    tokens: int
    sequences: int
    threadpool: LlamaThreadpool
    flash: bool | None = None  # None: llama.cpp chooses


class _Contexts(NamedTuple):
    """The contexts of one thread, by the size of a batch."""

    brief: "_Context | None"
    short: "_Context"
    long: "_Context | None"

    def close(self) -> None:
        """Free them. May be called twice."""
        for each in self:
            if each is not None:
                each.close()


class _Context:
    """A context with pooling. Models without a cache encode a batch; those with one decode it and clear the cache."""

    def __init__(self, model: LlamaModel, size: _Size, dimensions: int, vocabulary: int) -> None:
        self._library, self._dimensions, self._vocabulary = model.library, dimensions, vocabulary
        self._is_on_cpu = model.is_on_cpu
        self.tokens = size.tokens
        self.largest = 0  # tokens of the largest batch so far
        self._api, self._ffi = self._library.api, self._library.ffi
        params = self._api.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = size.tokens
        params.n_seq_max = min(size.sequences, size.tokens)
        params.n_threads = params.n_threads_batch = size.threadpool.threads
        params.embeddings = True
        params.kv_unified = True
        if size.flash is not None:
            params.flash_attn_type = int(size.flash)
        self._library.log.take_errors()
        self._library.log.take_report()
        self._context: Any = self._api.llama_init_from_model(model.handle, params)
        if self._context == self._ffi.NULL:
            raise Unavailable(
                f"A context of {size.tokens} tokens cannot be created: "
                f"{self._library.log.take_errors() or 'no reason given'}"
            )
        self.device_bytes = model.placement.bytes_on(self._library.log.take_report().buffers)
        self._threadpool, self._threads = size.threadpool, 0
        self.pooling = int(self._api.llama_pooling_type(self._context))
        self._memory = self._api.llama_get_memory(self._context)
        self.has_cache = self._memory != self._ffi.NULL

    def encode(self, sequences: Sequence[Ids], *, is_alone: bool) -> Vectors:
        """Return the pooled rows of llama.cpp, copied. `is_alone`: no other context computes meanwhile."""
        self._threads = self._threadpool.prepare(self._context, self._threads, is_alone=is_alone)
        batch, arrays = self._batch(sequences)
        if self.has_cache:
            self._api.llama_memory_clear(self._memory, False)
        compute = self._api.llama_decode if self.has_cache else self._api.llama_encode
        code = compute(self._context, batch[0])
        del arrays
        if code != 0:
            reason = self._library.log.take_errors()
            raise EngineFailed(f"llama.cpp refused a batch of {batch.n_tokens} tokens (code {code}). {reason}".strip())
        if not self.has_cache:
            self._release_logits(int(batch.n_tokens))
        rows = np.empty((len(sequences), self._dimensions), np.float32)
        for index in range(len(sequences)):
            row = self._api.llama_get_embeddings_seq(self._context, index)
            if row == self._ffi.NULL:
                raise EngineFailed("llama.cpp returned no vector for a sequence.")
            rows[index] = np.frombuffer(self._ffi.buffer(row, rows.itemsize * self._dimensions), np.float32)
        return rows

    def _release_logits(self, tokens: int) -> None:
        """Release the memory of logits, which llama.cpp allocates and clears for each batch larger than all before.

        These models compute no logits, but with a large vocabulary they take a megabyte per token of a batch. On other
        devices than the CPU this memory may be the device's, so it is not released.
        """
        if tokens <= self.largest or not self._is_on_cpu:
            return
        self.largest = tokens
        logits = self._api.llama_get_logits(self._context)
        if logits != self._ffi.NULL:
            size = tokens * self._vocabulary * np.dtype(np.float32).itemsize
            memory_pages.release_pages(int(self._ffi.cast("uintptr_t", logits)), size)

    def _batch(self, sequences: Sequence[Ids]) -> tuple[Any, list[object]]:
        """Return a `llama_batch`, and the arrays that it points to, which must live until it is computed."""
        lengths = [len(sequence) for sequence in sequences]
        count = sum(lengths)
        tokens = np.concatenate([np.asarray(sequence, np.int32) for sequence in sequences])
        positions = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])
        owners = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        one_each, wanted = np.ones(count, np.int32), np.ones(count, np.int8)
        # seq_id[i] points to the i-th token's list of sequences: always one here, in `owners`.
        lists = np.arange(count, dtype=np.uintp) * np.uintp(owners.itemsize) + np.uintp(owners.ctypes.data)
        batch = self._ffi.new("llama_batch *")
        batch.n_tokens = count
        batch.token = self._ffi.from_buffer("int32_t[]", tokens)
        batch.pos = self._ffi.from_buffer("int32_t[]", positions)
        batch.n_seq_id = self._ffi.from_buffer("int32_t[]", one_each)
        batch.seq_id = self._ffi.cast("int32_t **", lists.ctypes.data)
        batch.logits = self._ffi.from_buffer("int8_t[]", wanted)
        return batch, [tokens, positions, owners, one_each, wanted, lists]

    def close(self) -> None:
        """Free the context. May be called twice."""
        if self._context is not None:
            self._api.llama_free(self._context)
            self._context = None
