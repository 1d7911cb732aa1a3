"""Logits and KV through llama.cpp: implements the executor interface with its C API.

Loads the model, reads its properties and chooses the layout of its KV cache. Knows nothing of requests, sampling or
whose sequences are whose.
"""

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.llama.c_api import GRID_ROPES
from homeport.engines.llama.library import kernels
from homeport.engines.llama.model import LlamaModel
from homeport.engines.llama.threadpool import LlamaThreadpool
from homeport.engines.processors import cores
from homeport.engines.text.executor import (
    ExecutorTraits,
    Logits,
    TokenBatch,
    TokenizerPointers,
    Vocabulary,
)
from homeport.engines.text.executors.llama import kv_sizing, vocabulary
from homeport.engines.text.executors.llama.context import MICRO_BATCH, ContextSize, LlamaContext
from homeport.engines.text.executors.llama.kv_streams import KVStreams
from homeport.engines.text.executors.llama.rope_positions import RopePositions
from homeport.engines.text.kv_rows import KVRows

_GRID_STATE = ", positions 1"
_SIZE_BYTES = 4

logger = logging.getLogger("homeport.llama")


class LlamaOptions(msgspec.Struct, frozen=True):
    """How to load a model. None means: the model's window, cells as memory allows, physical cores, the wheel.

    `batch`: maximum tokens of one `forward`. `library`: a shared object or a folder of kernels. `kv`: the layout of the
    KV, see `kv_sizing.plan_kv`. `gpu_layers`: layers on GPUs, with their KV; None: all if there is a GPU.
    `micro_batch`: tokens that the kernels compute at a time.
    """

    window: int | None = None
    cells: int | None = None
    sequences: int = 32
    batch: int = 2048
    threads: int | None = None
    library: Path | None = None
    kv: kv_sizing.Kv = "auto"
    gpu_layers: int | None = None
    micro_batch: int = MICRO_BATCH


class LlamaExecutor:
    """One loaded model. Implements `homeport.engines.text.executor.Executor`.

    Owns the model and the thread pool that it receives. Raises Unavailable if the context does not fit in memory.
    """

    def __init__(self, model: LlamaModel, threadpool: LlamaThreadpool, options: LlamaOptions) -> None:
        self._library = library = model.library
        self._model = model
        self._threadpool = threadpool
        self._adapters: dict[str, object] = {}
        self._adapters_lock = threading.Lock()  # adapters must not change while a context is created, which counts them
        self._vocabulary = vocabulary.read(library, model.handle)
        self._shape = _shape(library.api, model.handle)
        self.cell_bytes = kv_sizing.cell_bytes(model.metadata, self._shape)
        self._kv_width = self.cell_bytes // (2 * kv_sizing.FLOAT16_BYTES * self._shape.layers)  # of keys, and of values
        can_trim = _can_trim(library.api, model.handle)
        has_grid = library.api.llama_model_rope_type(model.handle) in GRID_ROPES
        self._positions = RopePositions() if has_grid else None
        budget = kv_sizing.plan_kv(
            trained=library.api.llama_model_n_ctx_train(model.handle),
            window=options.window,
            cells=options.cells,
            sequences=options.sequences,
            kv=options.kv if can_trim else "unified",
            per_cell=self.cell_bytes,
            available=kv_sizing.available_bytes(model.free_device_bytes, model.placement.kv_share),
        )
        logger.info("KV cache: %s", budget)
        open_context = partial(self._open, options, can_trim=can_trim)
        stream_cells = budget.stream_tokens * options.sequences
        streams = open_context(stream_cells, unified=False) if stream_cells else None
        self._kv = KVStreams(streams, partial(open_context, budget.cells, unified=True))
        self._traits = ExecutorTraits(
            window=budget.window,
            cells=budget.cells,
            sequences=options.sequences,
            batch=self._kv.short_context.batch,
            shares_cells=streams is None,
            can_trim=can_trim,
            kv_format=(kv_sizing.STATE + _GRID_STATE * (self._positions is not None)) if can_trim else "",
            adapters=True,
            device=str(model.placement),
            media=True,
            cuts_media=self._positions is None,
            media_width=library.api.llama_model_n_embd_inp(model.handle),
        )

    def _open(self, options: LlamaOptions, cells: int, *, unified: bool, can_trim: bool) -> LlamaContext:
        size = ContextSize(cells, options.sequences, options.batch, self._threadpool, unified, options.micro_batch)
        n_vocabulary = self._vocabulary.size
        with self._adapters_lock:
            return LlamaContext(
                self._library,
                self._model.handle,
                size,
                vocabulary=n_vocabulary,
                can_trim=can_trim,
                adapters=self._adapters,
                positions=self._positions,
            )

    @property
    def model(self) -> LlamaModel:
        """The loaded model, which this executor owns."""
        return self._model

    @property
    def threads(self) -> int:
        """The maximum number of threads that compute."""
        return self._threadpool.threads

    @property
    def prompts(self) -> str:
        """What computes prompts: the same kernels."""
        return ""

    @property
    def traits(self) -> ExecutorTraits:
        """Its features and sizes."""
        return self._traits

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens."""
        return self._vocabulary

    @property
    def metadata(self) -> Mapping[str, str]:
        """The GGUF file's metadata; llama.cpp leaves arrays out."""
        return self._model.metadata

    @property
    def kernels(self) -> str:
        """A description of the kernels."""
        return str(self._library)

    @property
    def device_bytes(self) -> int:
        """The memory on GPUs now: weights, KV and buffers of the computation."""
        placement = self._model.placement
        return self._model.device_bytes + sum(placement.bytes_on(context.buffers) for context in self._kv.contexts)

    @property
    def tokenizer_pointers(self) -> TokenizerPointers:
        """The addresses of llama.cpp's tokenizer."""
        ffi, api = self._library.ffi, self._library.api
        vocab = api.llama_model_get_vocab(self._model.handle)
        function = ffi.addressof(api, "llama_tokenize")
        return TokenizerPointers(int(ffi.cast("uintptr_t", vocab)), int(ffi.cast("uintptr_t", function)))

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return the ids of a text, from any thread. Raises InvalidRequest for half a surrogate pair."""
        return self._model.tokenize(text, special=special)

    def forward(self, batch: TokenBatch) -> Logits:
        """Compute a batch; return rows (M, vocabulary), a view of llama.cpp's own buffer, valid until the next call.

        Raises EngineFailed, with code NO_CELLS if the cache is full.
        """
        return self._kv.decode(batch)

    def load_adapter(self, adapter: str, file: Path) -> None:
        """Load a LoRA adapter in GGUF format. Raises Unavailable if it does not fit the model."""
        self._library.log.take_errors()
        with self._adapters_lock:
            handle = self._library.api.llama_adapter_lora_init(self._model.handle, os.fsencode(file))
        if handle == self._library.ffi.NULL:
            reason = self._library.log.take_errors() or "no reason given"
            raise Unavailable(f"The adapter {file.name} cannot be loaded: {reason}")
        self._adapters[adapter] = handle

    def unload_adapter(self, adapter: str) -> None:
        """Free an adapter; llama.cpp frees remaining ones with the model."""
        self._kv.unset_adapter(adapter)
        with self._adapters_lock:
            self._library.api.llama_adapter_lora_free(self._adapters.pop(adapter))

    def prepare_length(self, n_tokens: int) -> None:
        """Announce that a sequence will have this length; a longer context is opened in the background if needed."""
        self._kv.prepare_length(n_tokens)

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Copy the first `n_tokens` of `source` into the empty sequence `target`."""
        if self._positions is not None:
            self._positions.fork(source, target, n_tokens)
        self._kv.fork(source, target, n_tokens)

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence. Raises EngineFailed if the model cannot."""
        self._kv.trim(sequence, n_tokens)
        if self._positions is not None:
            self._positions.trim(sequence, n_tokens)

    def release(self, sequences: Sequence[int]) -> None:
        """Empty these sequences."""
        self._kv.release(sequences)
        if self._positions is not None:
            for sequence in sequences:
                self._positions.trim(sequence, 0)

    def save(self, sequence: int) -> bytes:
        """Return a sequence's KV as bytes, valid only for the same model on the same kernels."""
        state = self._kv.save(sequence)
        if self._positions is None:
            return state
        positions = self._positions.save(sequence)
        return len(positions).to_bytes(_SIZE_BYTES, "little") + positions + state

    def restore(self, sequence: int, state: bytes) -> None:
        """Load saved KV into an empty sequence. Raises EngineFailed if it cannot; the sequence is then empty."""
        if self._positions is not None:
            size = _SIZE_BYTES + int.from_bytes(state[:_SIZE_BYTES], "little")
            self._positions.restore(sequence, state[_SIZE_BYTES:size])
            state = state[size:]
        try:
            self._kv.restore(sequence, state, len(state) // self.cell_bytes)
        except EngineFailed:
            if self._positions is not None:
                self._positions.trim(sequence, 0)
            raise

    def read_rows(self, sequence: int) -> KVRows:
        """Return a copy of a sequence's KV. Raises EngineFailed if its format is not known."""
        return self._kv.read_rows(sequence, self._shape.layers, self._kv_width)

    def append_rows(self, sequence: int, rows: KVRows, start: int) -> None:
        """Store the rows from `start` on after a sequence's last token. Raises EngineFailed if there is no room."""
        self._kv.append_rows(sequence, rows, start)

    def pack_rows(self, rows: KVRows) -> bytes:
        """Return rows as `save` would. Raises EngineFailed if the format is not known."""
        return self._kv.pack_rows(rows)

    def unpack_rows(self, state: bytes) -> KVRows:
        """Return what `save` returned as rows. Raises EngineFailed if the format is not known."""
        return self._kv.unpack_rows(state, self._shape.layers, self._kv_width)

    def close(self) -> None:
        """Free contexts and model; the kernels stay loaded. May be called twice."""
        self._kv.close()
        self._threadpool.close()
        self._model.close()


def load(weights: Path, options: LlamaOptions) -> LlamaExecutor:
    """Load a GGUF file. Raises Unavailable if the file or the kernels cannot be used, or memory is too small."""
    library = kernels(options.library)
    model = LlamaModel(library, weights, options.gpu_layers)
    threadpool = LlamaThreadpool(library, options.threads or cores())
    try:
        if library.api.llama_model_has_encoder(model.handle):
            raise Unavailable(f"{weights.name} is an encoder-decoder model; only decoders can be served.")
        return LlamaExecutor(model, threadpool, options)
    except BaseException:
        threadpool.close()
        model.close()
        raise


def _can_trim(api: Any, model: object) -> bool:
    return not (
        api.llama_model_is_recurrent(model) or api.llama_model_is_hybrid(model) or api.llama_model_n_swa(model) > 0
    )


def _shape(api: Any, model: object) -> kv_sizing.AttentionShape:
    return kv_sizing.AttentionShape(
        layers=api.llama_model_n_layer(model),
        width=api.llama_model_n_embd(model),
        heads=api.llama_model_n_head(model),
        kv_heads=api.llama_model_n_head_kv(model),
    )
