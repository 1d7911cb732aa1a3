"""Texts to vectors through llama.cpp: one loaded embedding model, and batches of token sequences computed in it.

Each sequence of a batch gives one vector, pooled as the model's file says. Sequences longer than most models' windows
go through a context of their own, opened for the first that comes. Not safe for use from two threads at a time, but for
`tokenise`. Knows nothing of requests or of what vectors are for.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.llama import memory_pages
from homeport.engines.llama.c_api import CONTROL
from homeport.engines.llama.library import LlamaLibrary, kernels
from homeport.engines.llama.model import LlamaModel
from homeport.engines.llama.threadpool import LlamaThreadpool
from homeport.engines.processors import cores

Vectors = NDArray[np.float32]
Ids = Sequence[int] | NDArray[np.int32]

POOLINGS = {1: "mean", 2: "cls", 3: "last"}
"""llama.cpp's numbers of the ways to make one vector of a sequence's that are served."""

_BATCH = 256  # tokens computed together: attention walks the whole batch, so more of them gain nothing on CPUs
_SEQUENCES = 64
_TILE = 64  # tokens whose attention the CPU kernels compute at once in flash attention; fewer go one by one, slowly
_BRIEF = 48  # up to so many tokens, plain attention takes less time than flash attention over a whole tile
_ROOM = 2048  # tokens that are always provided for, where the window has so many
_WINDOW = 8192  # what attention without a cache needs grows with the square of this


class EncoderOptions(msgspec.Struct, frozen=True):
    """How to load a model. None means: the model's own window (at most 8,192 tokens), physical cores, the wheel.

    `batch`: tokens computed together where sequences are shorter; `sequences`: how many of them at most. `is_plain`:
    attention is llama.cpp's choice for batches of all sizes, as it is without us; benchmarks compare with that.
    """

    window: int | None = None
    batch: int = _BATCH
    sequences: int = _SEQUENCES
    threads: int | None = None
    library: Path | None = None
    is_plain: bool = False


class EmbeddingEncoder:
    """One model, loaded. `window`: tokens of one sequence, those around a text included; `dimensions`: of a vector.

    Takes a loaded model and who computes it, and owns both. Raises Unavailable where the file pools nothing or the
    context does not fit.
    """

    def __init__(self, model: LlamaModel, team: LlamaThreadpool, options: EncoderOptions) -> None:
        self._library, self._model, self._team = model.library, model, team
        api, handle = model.library.api, model.handle
        trained = int(api.llama_model_n_ctx_train(handle))
        self.metadata = model.metadata
        self.kernels = str(model.library)
        self.dimensions = int(api.llama_model_n_embd(handle))
        self._vocab = api.llama_model_get_vocab(handle)
        self.vocabulary = int(api.llama_vocab_n_tokens(self._vocab))
        self.window = min(trained, options.window or _WINDOW)
        self.batch = options.batch
        self.sequences = options.sequences
        self._room = max(self.batch, min(self.window, _ROOM))
        self._short = self._open(self._room)
        self._long: _Context | None = None
        # Measured for models without a cache on CPUs; what is best elsewhere is left to llama.cpp.
        self._is_tiled = not (options.is_plain or self._short.has_cache) and model.library.is_cpu
        self._brief = self._open(_BRIEF, flash=False) if self._is_tiled else None
        if self._short.pooling not in POOLINGS:
            self.close()
            raise Unavailable("This model's file names no pooling that gives one vector of a text (mean, cls or last).")
        self.pooling = POOLINGS[self._short.pooling]

    def _open(self, tokens: int, *, flash: bool | None = None) -> "_Context":
        size = _Size(tokens, self.sequences, self._team, flash)
        return _Context(self._library, self._model.handle, size, self.dimensions, self.vocabulary)

    def tokenize(self, text: str, *, whole: bool = True) -> list[int]:
        """Text to ids, all of it plain; `whole`: with the tokens that the model wants around a text. From any thread.

        Raises InvalidRequest for half a surrogate pair, which no UTF-8 can say.
        """
        return self._model.tokenize(text, special=False, whole=whole)

    def special_tokens(self) -> tuple[list[int], list[int]]:
        """The ids that the model wants in front of a text's own and behind them."""
        inner, whole = self.tokenize("a", whole=False), self.tokenize("a")
        front = next((at for at in range(len(whole)) if whole[at : at + len(inner)] == inner), 0)
        return whole[:front], whole[front + len(inner) :]

    def is_control(self, token: int) -> bool:
        """Whether an id of the vocabulary stands for no text."""
        return bool(self._library.api.llama_vocab_get_attr(self._vocab, token) & CONTROL)

    def encode(self, sequences: Sequence[Ids]) -> Vectors:
        """One row of length 1 for each sequence; float32 (n, dimensions), the caller's own.

        At most `sequences` of them, none empty nor longer than `window`, together at most `batch` tokens, or one alone.
        Raises EngineFailed where llama.cpp refuses.
        """
        tokens = sum(map(len, sequences))
        found = self._context_for(tokens).encode([*sequences, *self._padding(tokens, len(sequences))])[: len(sequences)]
        lengths = np.sqrt(np.einsum("ij,ij->i", found, found, dtype=np.float64))[:, None]
        if not np.isfinite(lengths).all() or not lengths.all():
            raise EngineFailed("The model gave a vector of no length.")
        return np.asarray(found / lengths, np.float32)

    def _padding(self, tokens: int, count: int) -> list[list[int]]:
        """What fills a batch of so many tokens of `count` sequences up to a tile, where that saves time: a sequence."""
        has_room = count < self.sequences and self._room >= _TILE
        return [[0] * (_TILE - tokens)] if self._is_tiled and has_room and _BRIEF < tokens < _TILE else []

    def _context_for(self, tokens: int) -> "_Context":
        if self._brief is not None and tokens <= _BRIEF:
            return self._brief
        if tokens <= self._room:
            return self._short
        if self._long is None:
            self._long = self._open(self.window)
        return self._long

    def release_large_contexts(self) -> None:
        """Free what long sequences needed: it is much, and few need it."""
        if self._long is not None:
            self._long.close()
            self._long = None

    def close(self) -> None:
        """Free contexts and model; the kernels stay loaded. May be called twice."""
        self.release_large_contexts()
        for each in (self._brief, self._short):
            if each is not None:
                each.close()
        self._team.close()
        self._model.close()


def load(weights: Path, options: EncoderOptions) -> EmbeddingEncoder:
    """Load a GGUF file. Raises Unavailable when it, the kernels or the memory do not allow it."""
    model = LlamaModel(kernels(options.library), weights)
    team = LlamaThreadpool(model.library, options.threads or cores())
    try:
        return EmbeddingEncoder(model, team, options)
    except BaseException:
        team.close()
        model.close()
        raise


class _Size(msgspec.Struct, frozen=True):
    tokens: int
    sequences: int
    team: LlamaThreadpool
    flash: bool | None = None  # None leaves it to llama.cpp


class _Context:
    """A context that pools. Models without a cache compute a batch at once; those with one forget it after each."""

    def __init__(self, library: LlamaLibrary, model: object, size: _Size, dimensions: int, vocabulary: int) -> None:
        self._library, self._dimensions, self._vocabulary = library, dimensions, vocabulary
        self._largest = 0  # batch so far
        self._api, self._ffi = library.api, library.ffi
        params = self._api.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = size.tokens
        params.n_seq_max = min(size.sequences, size.tokens)
        params.n_threads = params.n_threads_batch = size.team.threads
        params.embeddings = True
        params.kv_unified = True
        if size.flash is not None:
            params.flash_attn_type = int(size.flash)
        library.log.take_errors()
        self._context: Any = self._api.llama_init_from_model(model, params)
        if self._context == self._ffi.NULL:
            raise Unavailable(f"No context of {size.tokens} tokens: {library.log.take_errors() or 'no reason given'}")
        self._team, self._threads = size.team, 0
        self.pooling = int(self._api.llama_pooling_type(self._context))
        self._memory = self._api.llama_get_memory(self._context)
        self.has_cache = self._memory != self._ffi.NULL

    def encode(self, sequences: Sequence[Ids]) -> Vectors:
        """The pooled rows as llama.cpp gives them, copied."""
        self._threads = self._team.prepare(self._context, self._threads)
        batch, kept = self._batch(sequences)
        if self.has_cache:
            self._api.llama_memory_clear(self._memory, False)
        compute = self._api.llama_decode if self.has_cache else self._api.llama_encode
        code = compute(self._context, batch[0])
        del kept
        if code != 0:
            said = self._library.log.take_errors()
            raise EngineFailed(f"llama.cpp refused a batch of {batch.n_tokens} tokens (code {code}). {said}".strip())
        if not self.has_cache:
            self._release_logits(int(batch.n_tokens))
        rows = np.empty((len(sequences), self._dimensions), np.float32)
        for index in range(len(sequences)):
            row = self._api.llama_get_embeddings_seq(self._context, index)
            if row == self._ffi.NULL:
                raise EngineFailed("llama.cpp gave no vector for a sequence.")
            rows[index] = np.frombuffer(self._ffi.buffer(row, rows.itemsize * self._dimensions), np.float32)
        return rows

    def _release_logits(self, tokens: int) -> None:
        """Let go of the logits: room for them is made and cleared at each batch larger than all before it.

        These models compute none, but with a large vocabulary that is a megabyte for each token of a batch. Devices
        other than the CPU may hold this memory for themselves, so it is left alone there.
        """
        if tokens <= self._largest or not self._library.is_cpu:
            return
        self._largest = tokens
        logits = self._api.llama_get_logits(self._context)
        if logits != self._ffi.NULL:
            size = tokens * self._vocabulary * np.dtype(np.float32).itemsize
            memory_pages.release_pages(int(self._ffi.cast("uintptr_t", logits)), size)

    def _batch(self, sequences: Sequence[Ids]) -> tuple[Any, list[object]]:
        """A `llama_batch`, and what its pointers point to, to be kept until it was computed."""
        lengths = [len(sequence) for sequence in sequences]
        count = sum(lengths)
        tokens = np.concatenate([np.asarray(sequence, np.int32) for sequence in sequences])
        positions = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])
        owners = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        one_each, wanted = np.ones(count, np.int32), np.ones(count, np.int8)
        # seq_id[i] points to the i-th token's list of sequences: here always one, in `owners`.
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
        """Free it. May be called twice."""
        if self._context is not None:
            self._api.llama_free(self._context)
            self._context = None
