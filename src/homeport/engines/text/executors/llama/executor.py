"""Logits and KV through llama.cpp: the executor seam on top of its C API.

Loads the model, reads what it is and settles how its KV is laid out. Knows nothing of requests, sampling or which
sequence belongs to whom.
"""

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from homeport.domain.errors import Unavailable
from homeport.engines.llama.library import kernels
from homeport.engines.llama.model import LlamaModel
from homeport.engines.llama.threadpool import LlamaThreadpool
from homeport.engines.processors import cores
from homeport.engines.text.executor import (
    ExecutorTraits,
    Logits,
    TokenBatch,
    Vocabulary,
)
from homeport.engines.text.executors.llama import kv_sizing, vocabulary
from homeport.engines.text.executors.llama.context import ContextSize, LlamaContext
from homeport.engines.text.executors.llama.kv_streams import KVStreams

logger = logging.getLogger("homeport.llama")


class LlamaOptions(msgspec.Struct, frozen=True):
    """How to load a model. None means: the model's window, cells as memory allows, physical cores, the wheel.

    `batch`: tokens one `forward` takes. `library`: a shared object or a folder of kernels. `kv`: how the KV is laid
    out, see `memory.room`.
    """

    window: int | None = None
    cells: int | None = None
    sequences: int = 32
    batch: int = 2048
    threads: int | None = None
    library: Path | None = None
    kv: kv_sizing.Kv = "auto"


class LlamaExecutor:
    """One model, loaded. Fulfils `homeport.engines.text.executor.Executor`.

    Takes a loaded model and who computes it, and owns both. Raises Unavailable when the context does not fit.
    """

    def __init__(self, model: LlamaModel, team: LlamaThreadpool, options: LlamaOptions) -> None:
        self._library = library = model.library
        self._model = model
        self._team = team
        self._adapters: dict[str, object] = {}
        self._building = threading.Lock()  # a context counts the adapters there are while it is made
        self._vocabulary = vocabulary.read(library, model.handle)
        self.cell_bytes = kv_sizing.cell_bytes(model.metadata, _shape(library.api, model.handle))
        can_trim = _can_trim(library.api, model.handle)
        room = kv_sizing.plan_kv(
            trained=library.api.llama_model_n_ctx_train(model.handle),
            window=options.window,
            cells=options.cells,
            sequences=options.sequences,
            kv=options.kv if can_trim else "unified",
            per_cell=self.cell_bytes,
        )
        logger.info("KV cache: %s", room)
        open_context = partial(self._open, options, can_trim=can_trim)
        lane = open_context(room.stream_tokens * options.sequences, unified=False) if room.stream_tokens else None
        self._lanes = KVStreams(lane, partial(open_context, room.cells, unified=True))
        self._traits = ExecutorTraits(
            window=room.window,
            cells=room.cells,
            sequences=options.sequences,
            batch=self._lanes.short_context.batch,
            shares_cells=lane is None,
            can_trim=can_trim,
            kv_format=kv_sizing.STATE if can_trim else "",
            adapters=True,
        )

    def _open(self, options: LlamaOptions, cells: int, *, unified: bool, can_trim: bool) -> LlamaContext:
        size = ContextSize(cells, options.sequences, options.batch, self._team, unified)
        n_vocabulary = self._vocabulary.size
        with self._building:
            return LlamaContext(
                self._library,
                self._model.handle,
                size,
                vocabulary=n_vocabulary,
                can_trim=can_trim,
                adapters=self._adapters,
            )

    @property
    def traits(self) -> ExecutorTraits:
        """What it can do and how much it holds."""
        return self._traits

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens."""
        return self._vocabulary

    @property
    def metadata(self) -> Mapping[str, str]:
        """The GGUF file's metadata; arrays are left out by llama.cpp."""
        return self._model.metadata

    @property
    def kernels(self) -> str:
        """Which kernels compute, in words."""
        return str(self._library)

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Text to ids, from any thread. Raises InvalidRequest for half a surrogate pair, which no UTF-8 can say."""
        return self._model.tokenize(text, special=special)

    def forward(self, batch: TokenBatch) -> Logits:
        """Compute a batch; rows (M, vocabulary) are a view of llama.cpp's own buffer, valid until the next call.

        Raises EngineFailed, with code NO_CELLS when the cache is full.
        """
        return self._lanes.decode(batch)

    def load_adapter(self, adapter: str, file: Path) -> None:
        """Load a LoRA adapter in GGUF. Raises Unavailable where it does not fit the model."""
        self._library.log.take_errors()
        with self._building:
            found = self._library.api.llama_adapter_lora_init(self._model.handle, os.fsencode(file))
        if found == self._library.ffi.NULL:
            said = self._library.log.take_errors() or "no reason given"
            raise Unavailable(f"The adapter {file.name} cannot be loaded: {said}")
        self._adapters[adapter] = found

    def unload_adapter(self, adapter: str) -> None:
        """Free an adapter; those still there when the model is freed go with it."""
        self._lanes.unset_adapter(adapter)
        with self._building:
            self._library.api.llama_adapter_lora_free(self._adapters.pop(adapter))

    def prepare_length(self, n_tokens: int) -> None:
        """A sequence will be so long: get ready for it beside what is computed."""
        self._lanes.prepare_length(n_tokens)

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Make `target` (empty) begin with the first `n_tokens` of `source`."""
        self._lanes.fork(source, target, n_tokens)

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence. Raises EngineFailed for a model that cannot."""
        self._lanes.trim(sequence, n_tokens)

    def release(self, sequences: Sequence[int]) -> None:
        """Empty these sequences."""
        self._lanes.release(sequences)

    def save(self, sequence: int) -> bytes:
        """A sequence's KV as bytes that mean something to the same model on the same kernels only."""
        return self._lanes.save(sequence)

    def restore(self, sequence: int, state: bytes) -> None:
        """Make an empty sequence hold what was saved. Raises EngineFailed, the sequence left empty, where it cannot."""
        self._lanes.restore(sequence, state, len(state) // self.cell_bytes)

    def close(self) -> None:
        """Free contexts and model; the kernels stay loaded. May be called twice."""
        self._lanes.close()
        self._team.close()
        self._model.close()


def load(weights: Path, options: LlamaOptions) -> LlamaExecutor:
    """Load a GGUF file. Raises Unavailable when it, the kernels or the memory do not allow it."""
    library = kernels(options.library)
    model = LlamaModel(library, weights)
    team = LlamaThreadpool(library, options.threads or cores())
    try:
        if library.api.llama_model_has_encoder(model.handle):
            raise Unavailable(f"{weights.name} is an encoder-decoder model; only decoders can be served.")
        return LlamaExecutor(model, team, options)
    except BaseException:
        team.close()
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
