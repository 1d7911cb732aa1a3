"""Logits by OpenVINO's CPU plugin, of many sequences at once, over a paged KV cache.

Int8 weights are multiplied by activations that are quantized on the way, as llama.cpp does with its Q8_0 weights;
attention and KV are in bfloat16 where processor and model allow it, else in float32 and float16; everything else is in
float32. Nothing here opens a connection: of OpenVINO's package only the runtime is used, not its converters, which
report usage. Knows nothing of llama.cpp's memory, and of which sequences have which blocks.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import psutil
from numpy.typing import NDArray

from homeport.domain.errors import Unavailable
from homeport.engines.llama.model import LlamaModel
from homeport.engines.text.block_decoder import BlockRun
from homeport.engines.text.executor import Logits, TokenBatch
from homeport.engines.text.executors.llama.gguf_tensors import GgufTensors
from homeport.engines.text.executors.openvino import architecture, graph
from homeport.engines.text.executors.openvino.constant_file import ConstantFile
from homeport.engines.text.kv_rows import KVRows, Rows

BLOCK_TOKENS = 32
"""Tokens of a block: OpenVINO's CPU plugin knows no other size."""

_OVERHEAD_BYTES = 200_000_000  # the runtime, and the hidden states of a pass
_ALIGNMENTS = 1_000_000  # bytes between constants, at most
_EMBEDDINGS = "token_embd.weight"


class OpenVinoDecoder:
    """The graph of one model, and `n_blocks` blocks of KV. Implements `block_decoder.BlockDecoder`."""

    block_tokens = BLOCK_TOKENS

    def __init__(self, model: LlamaModel, weights: Path, threads: int, n_blocks: int) -> None:
        """Raises Unavailable if the architecture or the file is not supported, or if memory is short."""
        self.n_blocks = n_blocks
        self._tensors = GgufTensors(model.library, weights)
        self._shape = architecture.read(model.metadata, self._tensors.names)
        count = sum(rows * columns for rows, columns in map(self._tensors.shape, self._tensors.names))
        needed = _OVERHEAD_BYTES + int(count * graph.BYTES_PER_WEIGHT)
        if available_memory() < 2 * needed:
            raise Unavailable(f"OpenVINO needs {needed / 1e6:.0f} MB, and twice as much is not free.")
        core = ov.Core()
        has_bfloat16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        type = graph.attention_type(self._tensors, has_bfloat16=has_bfloat16)
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # but for attention, see the graph
            "KV_CACHE_PRECISION": "bf16" if type == ov.Type.bf16 else "f16",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": graph.GROUP,
            "ENABLE_CPU_PINNING": False,  # the other kernels' threads use the same processors
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._constants = ConstantFile(weights.parent, int(count * graph.BYTES_PER_WEIGHT) + _ALIGNMENTS)
        decoder_graph = graph.build(self._shape, self._tensors, type, self._constants.keep)
        compiled = core.compile_model(decoder_graph, "CPU", options)
        self._request = compiled.create_infer_request()
        self._blocks = [self._open_cache(compiled.input(name)) for name in graph.cache_names(self._shape)]
        self._is_bfloat16 = type == ov.Type.bf16
        self._prepare()
        self.description = f"OpenVINO {ov.__version__.split('-')[0]}"

    def compute(self, batch: TokenBatch, runs: Sequence[BlockRun]) -> Logits:
        """Compute a batch of these runs, whose blocks have room; return the rows of `logits_indices`.

        They are valid until the next call.
        """
        counts, tables = [run.n_tokens for run in runs], [run.blocks for run in runs]
        embeddings = self._tensors.rows(_EMBEDDINGS, np.maximum(batch.tokens, 0))
        for media in batch.media:
            embeddings[media.first : media.stop] = media.rows
        self._set("embeddings", embeddings)
        self._set("positions", batch.positions.astype(np.int64))
        self._set("wanted", batch.logits_indices.astype(np.int64))
        self._set("past_lens", np.array([run.start for run in runs], np.int32))
        self._set("subsequence_begins", np.cumsum([0, *counts], dtype=np.int32))
        self._set("block_indices", np.concatenate(tables, dtype=np.int32))
        self._set("block_indices_begins", np.cumsum([0, *map(len, tables)], dtype=np.int32))
        self._set("max_context_len", np.array(max(run.start + run.n_tokens for run in runs), np.int32))
        self._request.infer()
        logits: Logits = self._request.get_tensor("logits").data[0]
        return logits

    def copy_block(self, source: int, target: int) -> None:
        """Copy what one block contains into another."""
        for blocks in self._blocks:
            blocks[target] = blocks[source]

    def read(self, blocks: Sequence[int], n_tokens: int) -> KVRows:
        """Return a copy of the KV of the first `n_tokens` in these blocks."""
        rows = KVRows(self._shape.layers, self._shape.kv_width)
        keys, values = rows.extend(n_tokens)
        order = self._key_order()
        for layer in range(self._shape.layers):
            for target, cache in ((keys, self._blocks[2 * layer]), (values, self._blocks[2 * layer + 1])):
                by_token = cache[list(blocks)].swapaxes(1, 2).reshape(-1, self._shape.kv_width)[:n_tokens]
                part = _from_bfloat16(by_token) if self._is_bfloat16 else by_token.view(np.float16)
                target[layer] = part[:, order] if target is keys and order is not None else part
        return rows

    def write(self, blocks: Sequence[int], rows: KVRows, start: int) -> None:
        """Store the rows from `start` on in these blocks. `rows` begins at position 0."""
        positions = np.arange(start, rows.end)
        block, offset = np.array(blocks)[positions // BLOCK_TOKENS], positions % BLOCK_TOKENS
        order = self._key_order()
        inverse = None if order is None else np.argsort(order)
        for layer in range(self._shape.layers):
            for at, all_rows in enumerate((rows.keys, rows.values)):
                part: Rows = all_rows[layer, start:]
                if at == 0 and inverse is not None:
                    part = part[:, inverse]
                stored = _to_bfloat16(part) if self._is_bfloat16 else part.view(np.uint16)
                by_head = stored.reshape(-1, self._shape.kv_heads, self._shape.head)
                self._blocks[2 * layer + at][block, :, offset] = by_head

    def _prepare(self) -> None:
        """Compute a token, for which OpenVINO packs all weights, and give back the memory of the constants."""
        none = np.zeros(1, np.int32)
        self.compute(TokenBatch(none, none, none, none), [BlockRun(0, 1, [0])])
        self._constants.drop_memory()

    def _open_cache(self, parameter: Any) -> NDArray[np.uint16]:
        """Return the blocks of one layer's keys or values, as the bits of their 16-bit numbers."""
        shape = (self.n_blocks, self._shape.kv_heads, BLOCK_TOKENS, self._shape.head)
        if list(parameter.get_partial_shape())[1:] != list(shape)[1:]:
            raise Unavailable(f"OpenVINO expects KV blocks of the shape {parameter.get_partial_shape()}.")
        blocks = np.zeros(shape, np.uint16)  # memory is taken only where it is written
        self._request.set_tensor(parameter, ov.Tensor(blocks, shape, parameter.get_element_type()))
        return blocks

    def _key_order(self) -> NDArray[np.int64] | None:
        """Return the order of a token's keys in which llama.cpp stores them; None if it is the same here."""
        if not self._shape.is_interleaved:
            return None
        halves = np.arange(self._shape.kv_width).reshape(self._shape.kv_heads, 2, -1)
        return halves.swapaxes(1, 2).reshape(-1)

    def _set(self, name: str, array: NDArray[Any]) -> None:
        self._request.set_tensor(name, ov.Tensor(array))


def available_memory() -> int:
    """Return the bytes that programs can still use."""
    return int(psutil.virtual_memory().available)


def _from_bfloat16(bits: NDArray[np.uint16]) -> Rows:
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float16)


def _to_bfloat16(values: Rows) -> NDArray[np.uint16]:
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
