"""A model's blocks as a graph of OpenVINO: input and output are hidden states, the KV before them is given.

Knows nothing of a model's two ends, or of files. The architectures are llama, qwen2 and qwen3.
"""

from collections.abc import Sequence

import numpy as np
import openvino
from openvino import opset15 as ops

from bench.prompts.model_weights import FloatArray, Shape, Weights, quantize
from bench.prompts.way import Numbers, Way


class OpenVinoGraph:
    """The compiled graph. Implements `bench.prompts.computer.Graph`."""

    def __init__(self, weights: Weights, way: Way, threads: int) -> None:
        self._shape = weights.shape
        model = _Builder(weights, way).model()
        weights.blocks.clear()  # the graph has its own
        group = way.group if way.numbers == "int8" else 0
        self._request = compile_graph(
            model, threads, group=group, is_bf16=way.attention == "bf16"
        ).create_infer_request()
        self._kv: list[FloatArray] = []

    @property
    def description(self) -> str:
        """The library and its version."""
        return f"OpenVINO {openvino.__version__.partition('-')[0]}"

    def begin(self, prompts: int, length: int) -> None:
        """Forget all KV, and expect this many prompts of this length."""
        shape = self._shape
        size = (prompts, shape.kv_heads, length, shape.head)
        self._kv = [np.empty(size, np.float32) for _ in range(2 * shape.layers)]

    def run(self, embedded: FloatArray, start: int) -> FloatArray:
        """Compute the next tokens, given as (prompts, tokens, width); return the last block's output, as large."""
        end = start + embedded.shape[1]
        positions = np.arange(start, end, dtype=np.int64)
        visible = np.arange(end) <= positions[:, None]
        mask = np.where(visible, np.float32(0), np.float32(-np.inf))[None, None]
        inputs = [embedded, positions[None], mask, *(np.ascontiguousarray(kv[:, :, :start]) for kv in self._kv)]
        tensors = {index: openvino.Tensor(value, shared_memory=True) for index, value in enumerate(inputs)}
        self._request.infer(tensors, share_inputs=True)
        for index, kv in enumerate(self._kv):
            kv[:, :, start:end] = self._request.get_output_tensor(index + 1).data
        hidden: FloatArray = self._request.get_output_tensor(0).data
        return hidden


class _Builder:
    """Builds the graph. Its tensors are (prompts, tokens, width), per head (prompts, heads, tokens, head)."""

    def __init__(self, weights: Weights, way: Way) -> None:
        self._weights = weights
        self._shape = weights.shape
        self._way = way
        self._x = ops.parameter([-1, -1, self._shape.width], np.float32)
        self._positions = ops.parameter([1, -1], np.int64)
        self._mask = ops.parameter([1, 1, -1, -1], np.float32)
        self._cos, self._sin = _rotation(self._positions, self._shape)

    def model(self) -> openvino.Model:
        """Return the whole graph: outputs are the hidden states, then each block's new K and V."""
        shape = self._shape
        size = [-1, shape.kv_heads, -1, shape.head]
        past = [ops.parameter(size, np.float32) for _ in range(2 * shape.layers)]
        x, results = self._x, []
        for layer in range(shape.layers):
            x, new = self._block(x, layer, past[2 * layer : 2 * layer + 2])
            results += new
        return openvino.Model([ops.result(x), *map(ops.result, results)], [self._x, self._positions, self._mask, *past])

    def _block(
        self, x: openvino.Node, layer: int, past: Sequence[openvino.Node]
    ) -> tuple[openvino.Node, list[openvino.Node]]:
        shape = self._shape
        h = self._norm(x, f"blk.{layer}.attn_norm.weight")
        q = self._rotate(self._heads(h, layer, "q", shape.heads))
        k = self._rotate(self._heads(h, layer, "k", shape.kv_heads))
        v = self._heads(h, layer, "v", shape.kv_heads)
        keys, values = (self._repeat(ops.concat([old, new], 2)) for old, new in zip(past, (k, v), strict=True))
        attended = ops.scaled_dot_product_attention(q, keys, values, self._mask, causal=False)
        joined = _reshape(ops.transpose(attended, _ints(0, 2, 1, 3)), 0, 0, shape.heads * shape.head)
        x = ops.add(x, self._product(joined, f"blk.{layer}.attn_output"))
        h = self._norm(x, f"blk.{layer}.ffn_norm.weight")
        gate, up = (self._product(h, f"blk.{layer}.ffn_{name}") for name in ("gate", "up"))
        return ops.add(x, self._product(ops.multiply(ops.swish(gate), up), f"blk.{layer}.ffn_down")), [k, v]

    def _heads(self, h: openvino.Node, layer: int, name: str, heads: int) -> openvino.Node:
        """Project to heads; their normalization is that of qwen3."""
        shape = self._shape
        size = _reshape(
            self._product(h, f"blk.{layer}.attn_{name}", heads if name in "qk" else 0), 0, 0, heads, shape.head
        )
        split = ops.transpose(size, _ints(0, 2, 1, 3))
        norm = f"blk.{layer}.attn_{name}_norm.weight"
        return self._norm(split, norm) if norm in self._weights.blocks else split

    def _product(self, x: openvino.Node, name: str, rotated_heads: int = 0) -> openvino.Node:
        """Multiply with weights and add their bias. `rotated_heads`: their rows are rotary pairs, made halves here."""
        halve = rotated_heads if self._shape.pairs else 0
        weights = _halves(self._weights.blocks[f"{name}.weight"], halve)
        y = ops.matmul(x, constant(weights, self._way.numbers, self._way.group), False, True)
        bias = self._weights.optional(f"{name}.bias")
        return y if bias is None else ops.add(y, ops.constant(bias.reshape(1, 1, -1)))

    def _norm(self, x: openvino.Node, name: str) -> openvino.Node:
        mean = ops.reduce_mean(ops.power(x, _float(2)), _ints(-1), True)
        scale = ops.divide(_float(1), ops.sqrt(ops.add(mean, _float(self._shape.epsilon))))
        return ops.multiply(ops.constant(self._weights.blocks[name]), ops.multiply(x, scale))

    def _rotate(self, x: openvino.Node) -> openvino.Node:
        half = self._shape.head // 2
        first, second = ops.slice(x, [0], [half], [1], [3]), ops.slice(x, [half], [2 * half], [1], [3])
        turned = ops.concat([ops.multiply(second, _float(-1)), first], -1)
        return ops.add(ops.multiply(x, self._cos), ops.multiply(turned, self._sin))

    def _repeat(self, x: openvino.Node) -> openvino.Node:
        """Repeat each head of K or V for the heads of Q that share it."""
        shape = self._shape
        group = shape.heads // shape.kv_heads
        if group == 1:
            return x
        wide = ops.broadcast(ops.unsqueeze(x, _ints(2)), _ints(1, 1, group, 1, 1), broadcast_spec="BIDIRECTIONAL")
        return _reshape(wide, 0, shape.heads, -1, shape.head)


def _rotation(positions: openvino.Node, shape: Shape) -> tuple[openvino.Node, openvino.Node]:
    frequencies = 1.0 / shape.rope_base ** (np.arange(0, shape.head, 2, dtype=np.float64) / shape.head)
    column = ops.constant(frequencies.astype(np.float32).reshape(1, -1, 1))
    angles = ops.matmul(column, ops.convert(ops.unsqueeze(positions, _ints(1)), np.float32), False, False)
    angles = ops.transpose(angles, _ints(0, 2, 1))
    both = ops.concat([angles, angles], -1)
    return ops.unsqueeze(ops.cos(both), _ints(1)), ops.unsqueeze(ops.sin(both), _ints(1))


def compile_graph(model: openvino.Model, threads: int, *, group: int, is_bf16: bool) -> openvino.CompiledModel:
    """Compile a graph for the CPU. `group`: activations that share a scale where they are quantized; 0: never."""
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if is_bf16 else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": group,
    }
    return openvino.Core().compile_model(model, "CPU", options)


def constant(weights: FloatArray, numbers: Numbers, group: int) -> openvino.Node:
    """Return weights as a constant that is float32 to the graph, and the plugin keeps in these numbers."""
    if numbers == "int8":
        integers, scales = quantize(weights, group)
        scaled = ops.multiply(
            ops.convert(ops.constant(integers), np.float16), ops.constant(scales[:, :, None].astype(np.float16))
        )
        return ops.convert(ops.reshape(scaled, _ints(*weights.shape), False), np.float32)
    if numbers == "bf16":
        return ops.convert(ops.constant(weights, openvino.Type.bf16), np.float32)
    return ops.constant(weights)


def _halves(weights: FloatArray, heads: int) -> FloatArray:
    """Reorder each head's rows from neighboring pairs to halves; `heads` 0: leave them."""
    if not heads:
        return weights
    pairs = weights.reshape(heads, -1, 2, weights.shape[-1])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(weights.shape)


def _reshape(x: openvino.Node, *size: int) -> openvino.Node:
    """Reshape; 0 keeps an extent."""
    return ops.reshape(x, _ints(*size), True)


def _ints(*values: int) -> openvino.Node:
    return ops.constant(np.array(values, np.int64))


def _float(value: float) -> openvino.Node:
    return ops.constant(np.float32(value))
