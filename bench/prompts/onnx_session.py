"""A model's blocks as a graph of ONNX Runtime: input and output are hidden states, the KV before them is given.

Knows nothing of a model's two ends, or of files. The architectures are llama, qwen2 and qwen3.
"""

import numpy as np
import onnxruntime

from bench.prompts.model_weights import FloatArray, Shape, Weights, quantize
from bench.prompts.onnx_file import MICROSOFT, OnnxFile
from bench.prompts.way import Way
from homeport.engines.onnx_sessions import session_options

_POSITIONS = 8192  # of which the rotations are prepared
_INT8_ACTIVATIONS = 4  # the accuracy level at which activations are quantized, too


class OnnxGraph:
    """The loaded graph. Implements `bench.prompts.computer.Graph`."""

    def __init__(self, weights: Weights, way: Way, threads: int) -> None:
        self._shape = weights.shape
        content = _Builder(weights, way).content()
        weights.blocks.clear()  # the graph has its own
        options = session_options(threads)
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._kv: list[FloatArray] = []

    @property
    def description(self) -> str:
        """The library and its version."""
        return f"ONNX Runtime {onnxruntime.__version__}"

    def begin(self, prompts: int, length: int) -> None:
        """Forget all KV. Its length is not needed in advance."""
        del length
        empty = np.empty((prompts, self._shape.kv_heads, 0, self._shape.head), np.float32)
        self._kv = [empty] * (2 * self._shape.layers)

    def run(self, embedded: FloatArray, start: int) -> FloatArray:
        """Compute the next tokens, given as (prompts, tokens, width); return the last block's output, as large."""
        end = start + embedded.shape[1]
        inputs = {f"past{index}": kv for index, kv in enumerate(self._kv)}
        last = np.full(embedded.shape[0], end - 1, np.int32)
        found = self._session.run(None, {"x": embedded, "last": last, "total": np.array(end, np.int32), **inputs})
        hidden: FloatArray = found[0]
        self._kv = found[1:]
        return hidden


class _Builder:
    """Builds the graph. Its tensors are (prompts, tokens, width); attention divides them into heads itself."""

    def __init__(self, weights: Weights, way: Way) -> None:
        self._weights = weights
        self._shape = weights.shape
        self._way = way
        self._file = OnnxFile()
        self._cos, self._sin = (self._file.tensor(values) for values in _rotation(self._shape))

    def content(self) -> bytes:
        """Return the model: outputs are the hidden states, then each block's K and V with the new tokens."""
        file, shape = self._file, self._shape
        x = file.input("x", np.float32, ["prompts", "tokens", shape.width])
        file.input("last", np.int32, ["prompts"])
        file.input("total", np.int32, [])
        outputs = []
        for layer in range(shape.layers):
            for index in (2 * layer, 2 * layer + 1):
                file.input(f"past{index}", np.float32, ["prompts", shape.kv_heads, "past", shape.head])
            x, attention = self._block(x, layer)
            outputs += [f"{attention}:1", f"{attention}:2"]
        file.output("y", x, np.float32, ["prompts", "tokens", shape.width])
        for index, name in enumerate(outputs):
            file.output(f"kv{index}", name, np.float32, ["prompts", shape.kv_heads, "all", shape.head])
        return file.content()

    def _block(self, x: str, layer: int) -> tuple[str, str]:
        """Add a block; return the names of its output and of its attention node."""
        file, shape = self._file, self._shape
        h = self._norm(x, f"blk.{layer}.attn_norm.weight")
        q, k, v = (self._project(h, layer, name) for name in "qkv")
        past = [f"past{2 * layer}", f"past{2 * layer + 1}"]
        attention = file.node(
            "GroupQueryAttention",
            [q, k, v, *past, "last", "total", self._cos, self._sin],
            outputs=3,
            domain=MICROSOFT,
            num_heads=shape.heads,
            kv_num_heads=shape.kv_heads,
            do_rotary=1,
            rotary_interleaved=int(shape.pairs),
        )
        x = file.node("Add", [x, self._product(attention, f"blk.{layer}.attn_output")])
        h = self._norm(x, f"blk.{layer}.ffn_norm.weight")
        gate, up = (self._product(h, f"blk.{layer}.ffn_{name}") for name in ("gate", "up"))
        gate = file.node("QuickGelu", [gate], domain=MICROSOFT, alpha=1.0)
        down = self._product(file.node("Mul", [gate, up]), f"blk.{layer}.ffn_down")
        return file.node("Add", [x, down]), attention

    def _project(self, h: str, layer: int, name: str) -> str:
        """Project to Q, K or V; the normalization of each head is that of qwen3."""
        y = self._product(h, f"blk.{layer}.attn_{name}")
        norm = f"blk.{layer}.attn_{name}_norm.weight"
        if norm not in self._weights.blocks:
            return y
        split = self._file.node("Reshape", [y, self._file.tensor(np.array([0, 0, -1, self._shape.head], np.int64))])
        flat = self._file.tensor(np.array([0, 0, -1], np.int64))
        return self._file.node("Reshape", [self._norm(split, norm), flat])

    def _product(self, x: str, name: str) -> str:
        """Multiply with weights and add their bias."""
        weights = self._weights.blocks[f"{name}.weight"]
        if self._way.numbers == "int8":
            integers, scales = quantize(weights, self._way.group)
            shifted = (integers.astype(np.int16) + 128).astype(np.uint8)  # the operator's default zero point
            y = self._file.node(
                "MatMulNBits",
                [x, self._file.tensor(shifted), self._file.tensor(scales.reshape(-1))],
                domain=MICROSOFT,
                N=weights.shape[0],
                K=weights.shape[1],
                bits=8,
                block_size=self._way.group,
                accuracy_level=_INT8_ACTIVATIONS,
            )
        else:
            y = self._file.node("MatMul", [x, self._file.tensor(np.ascontiguousarray(weights.T))])
        bias = self._weights.optional(f"{name}.bias")
        return y if bias is None else self._file.node("Add", [y, self._file.tensor(bias)])

    def _norm(self, x: str, name: str) -> str:
        scale = self._file.tensor(self._weights.blocks[name])
        return self._file.node("SimplifiedLayerNormalization", [x, scale], axis=-1, epsilon=self._shape.epsilon)


def _rotation(shape: Shape) -> tuple[FloatArray, FloatArray]:
    frequencies = 1.0 / shape.rope_base ** (np.arange(0, shape.head, 2, dtype=np.float64) / shape.head)
    angles = np.arange(_POSITIONS)[:, None] * frequencies
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
