"""Keys and values of prompt tokens by OpenVINO's CPU plugin.

Int8 weights are multiplied by activations that are quantized on the way, as llama.cpp does with its Q8_0 weights;
attention is in bfloat16 where processor and model allow it; everything else is in float32. Nothing here opens a
connection: of OpenVINO's package only the runtime is used, not its converters, which report usage.
Knows nothing of llama.cpp's memory, and of which tokens are worth computing here.
"""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import psutil
from numpy.typing import NDArray

from homeport.domain.errors import Unavailable
from homeport.engines.llama.model import LlamaModel
from homeport.engines.text.executors.llama.gguf_tensors import GgufTensors
from homeport.engines.text.executors.openvino import architecture, graph
from homeport.engines.text.kv_rows import KVRows

_PASS_TOKENS = 512  # tokens of one pass: more are no faster, and need more memory
_OVERHEAD_BYTES = 200_000_000  # the runtime, and the hidden states of a pass
_EMBEDDINGS = "token_embd.weight"


class OpenVinoPrefill:
    """The prompt graph of one model. Implements `homeport.engines.text.prefill.Prefill`."""

    def __init__(self, model: LlamaModel, weights: Path, threads: int) -> None:
        """Raises Unavailable if the architecture or the file is not supported."""
        self._tensors = GgufTensors(model.library, weights)
        self._shape = architecture.read(model.metadata, self._tensors.names)
        blocks = [name for name in self._tensors.names if name.startswith("blk.")]
        count = sum(rows * columns for rows, columns in map(self._tensors.shape, blocks))
        needed = _OVERHEAD_BYTES + int(count * graph.BYTES_PER_WEIGHT)
        if available_memory() < 2 * needed:
            raise Unavailable(f"OpenVINO needs {needed / 1e6:.0f} MB, and twice as much is not free.")
        core = ov.Core()
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # but for attention, see the graph
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": graph.GROUP,
            "ENABLE_CPU_PINNING": False,  # the decoding kernels' threads use the same processors
            "PERFORMANCE_HINT": "LATENCY",
        }
        prompt_graph = graph.build(self._shape, self._tensors, has_bfloat16=_has_bfloat16(core))
        compiled = core.compile_model(prompt_graph, "CPU", options)
        self._request = compiled.create_infer_request()
        self.description = f"OpenVINO {ov.__version__.split('-')[0]}"

    def compute(self, tokens: NDArray[np.int32], rows: KVRows) -> None:
        """Append the keys and values of the tokens that follow `rows`, which begin at position 0."""
        for first in range(0, len(tokens), _PASS_TOKENS):
            self._compute_pass(tokens[first : first + _PASS_TOKENS], rows)

    def _compute_pass(self, tokens: NDArray[np.int32], rows: KVRows) -> None:
        request, past = self._request, rows.end
        request.set_tensor("embeddings", ov.Tensor(self._tensors.rows(_EMBEDDINGS, tokens)))
        request.set_tensor("past", ov.Tensor(np.array(past, np.int64)))
        for kind, before in (("keys", rows.keys), ("values", rows.values)):
            for layer, part in enumerate(before):
                request.set_tensor(f"{kind}.{layer}", _tensor(part))
        request.infer()
        keys, values = rows.extend(len(tokens))
        for kind, target in (("keys", keys), ("values", values)):
            for layer in range(self._shape.layers):
                target[layer] = request.get_tensor(f"new_{kind}.{layer}").data


def available_memory() -> int:
    """Return the bytes that programs can still use."""
    return int(psutil.virtual_memory().available)


def _tensor(array: NDArray[np.float16]) -> Any:
    """Return a tensor of a contiguous array, without copying it."""
    return ov.Tensor(array, shared_memory=True) if array.size else ov.Tensor(ov.Type.f16, list(array.shape))


def _has_bfloat16(core: Any) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
