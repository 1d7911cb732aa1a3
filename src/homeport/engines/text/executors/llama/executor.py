"""Logits and KV through llama.cpp: the executor seam on top of its C API.

Loads the model, reads what it is and settles how its KV is laid out. Knows nothing of requests, sampling or which
sequence belongs to whom.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psutil

from homeport.domain.errors import EngineFailed, InvalidRequest, Unavailable
from homeport.engines.text.executor import Batch, Logits, Traits, Vocabulary
from homeport.engines.text.executors.llama import memory, vocabulary
from homeport.engines.text.executors.llama.context import Context, Size
from homeport.engines.text.executors.llama.lanes import Lanes
from homeport.engines.text.executors.llama.library import Library, kernels

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
    kv: memory.Kv = "auto"


class LlamaExecutor:
    """One model, loaded. Fulfils `homeport.engines.text.executor.Executor`.

    Takes a loaded model and owns it. Raises Unavailable when the context does not fit.
    """

    def __init__(self, library: Library, model: object, options: LlamaOptions) -> None:
        self._library = library
        self._ffi = library.ffi
        self._api = library.api
        self._model = model
        self._metadata = _metadata(library, model)
        self._vocabulary = vocabulary.read(library, model)
        self._vocab = self._api.llama_model_get_vocab(model)
        self.cell_bytes = memory.cell_bytes(self._metadata, _shape(self._api, model))
        can_trim = _can_trim(self._api, model)
        room = memory.room(
            trained=self._api.llama_model_n_ctx_train(model),
            window=options.window,
            cells=options.cells,
            sequences=options.sequences,
            kv=options.kv if can_trim else "unified",
            per_cell=self.cell_bytes,
        )
        logger.info("KV cache: %s", room)
        open_context = partial(self._open, options, can_trim=can_trim)
        lane = open_context(room.lane * options.sequences, unified=False) if room.lane else None
        self._lanes = Lanes(lane, partial(open_context, room.cells, unified=True))
        self._traits = Traits(
            window=room.window,
            cells=room.cells,
            sequences=options.sequences,
            batch=self._lanes.lane.batch,
            shares_cells=lane is None,
            can_trim=can_trim,
        )

    def _open(self, options: LlamaOptions, cells: int, *, unified: bool, can_trim: bool) -> Context:
        threads = options.threads or _cores()
        size = Size(cells, options.sequences, options.batch, threads, unified)
        return Context(self._library, self._model, size, vocabulary=self._vocabulary.size, can_trim=can_trim)

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

        Raises EngineFailed, with code NO_CELLS when the cache is full.
        """
        return self._lanes.decode(batch)

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
        if self._model is not None:
            self._lanes.close()
            self._api.llama_model_free(self._model)
            self._model = None


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
