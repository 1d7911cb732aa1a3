"""The graph that computes the keys and values of prompt tokens, in OpenVINO's operations.

Inputs: `embeddings` (tokens, width); `past` (scalar: tokens before these); for each layer `keys.N` and `values.N` of
the tokens before (past, kv_width) in float16. Outputs: for each layer `new_keys.N` and `new_values.N` of these tokens
(tokens, kv_width) in float16, in the order in which llama.cpp stores them. The last layer computes nothing else,
because no logits are wanted. Weights are int8 in groups of 32 with a float16 scale, which OpenVINO keeps as they are.
Patterns are written as OpenVINO's fusions expect them. Knows nothing of files or of caches.
Sources: Llama (Touvron et al. 2023), RoPE (Su et al. 2021), https://docs.openvino.ai/2026/documentation/openvino-ir-format/operation-sets.html
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from homeport.engines.text.executors.openvino.architecture import ROPE_FACTORS, Architecture

Output = Any
"""An output of an operation; OpenVINO's own type has no annotations."""

GROUP = 32
"""WeightTensors that share a scale."""

BYTES_PER_WEIGHT = 1 + 2 / GROUP
"""With its share of the scale."""

_END = 2**31 - 1


class WeightTensors(Protocol):
    """The tensors of a model, by their names in a GGUF."""

    def __contains__(self, name: object) -> bool:
        """Whether there is a tensor of this name."""
        ...

    def floats(self, name: str) -> NDArray[np.float32]:
        """Return a tensor as rows of float32; a vector is one row."""
        ...

    def int8_groups(self, name: str) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
        """Return a matrix as groups (rows, columns / 32, 32) of int8, and their scales (rows, columns / 32, 1)."""
        ...


def build(shape: Architecture, weights: WeightTensors, *, has_bfloat16: bool) -> ov.Model:
    """Build the graph of a model. `has_bfloat16`: attention is computed in bfloat16, where that is exact enough."""
    return _Graph(shape, weights, has_bfloat16=has_bfloat16).build()


class _Graph:
    def __init__(self, shape: Architecture, weights: WeightTensors, *, has_bfloat16: bool) -> None:
        self._shape = shape
        self._weights = weights
        # Biases make some keys so large that bfloat16 leaves too few digits for the differences between scores.
        self._type = ov.Type.bf16 if has_bfloat16 and "blk.0.attn_k.bias" not in weights else ov.Type.f32
        self._embeddings = _input("embeddings", [-1, shape.width], np.float32)
        self._past = _input("past", [], np.int64)
        self._parameters = [self._embeddings, self._past]
        self._results: list[Output] = []
        count = op.gather(op.shape_of(self._embeddings), _integers(0), _integers(0))
        positions = op.range(self._past, op.add(self._past, count), _integers(1), "i64")
        before = op.range(_integers(0), op.add(self._past, count), _integers(1), "i64")
        is_later = op.greater(op.unsqueeze(before, _integers([0])), op.unsqueeze(positions, _integers([1])))
        mask = op.unsqueeze(op.select(is_later, _floats(-np.inf), _floats(0.0)), _integers([0, 1]))
        self._mask = op.concat([mask] * (shape.heads // shape.kv_heads), 2)  # once for each head that shares keys
        self._cosine, self._sine = self._rotations(positions)

    def build(self) -> ov.Model:
        hidden = op.unsqueeze(self._embeddings, _integers([0]))
        for layer in range(self._shape.layers):
            hidden = self._layer(layer, hidden)
        return ov.Model(self._results, self._parameters, "prompt")

    def _layer(self, layer: int, hidden: Output) -> Output:
        name = f"blk.{layer}."
        normed = self._norm(hidden, f"{name}attn_norm")
        key = self._rotate(self._head_norm(self._heads(normed, f"{name}attn_k", self._shape.kv_heads), f"{name}attn_k"))
        value = self._heads(normed, f"{name}attn_v", self._shape.kv_heads, is_rotated=False)
        keys, values = self._store("keys", layer, key), self._store("values", layer, value)
        if layer == self._shape.layers - 1:
            return hidden
        query = self._rotate(self._head_norm(self._heads(normed, f"{name}attn_q", self._shape.heads), f"{name}attn_q"))
        joined = self._attend(query, keys, values)
        hidden = op.add(hidden, self._linear(joined, f"{name}attn_output"))
        normed = self._norm(hidden, f"{name}ffn_norm")
        gate, up = self._linear(normed, f"{name}ffn_gate"), self._linear(normed, f"{name}ffn_up")
        return op.add(hidden, self._linear(op.multiply(op.swish(gate), up), f"{name}ffn_down"))

    def _attend(self, query: Output, keys: Output, values: Output) -> Output:
        """Return the weighted sums of the values as (1, tokens, heads * head).

        The heads that share keys are computed as more queries: so keys and values are not repeated in memory.
        """
        shape, sharing = self._shape, self._shape.heads // self._shape.kv_heads
        queries = op.reshape(query, _integers([1, shape.kv_heads, -1, shape.head]), False)
        inputs = (op.convert(each, self._type) for each in (queries, keys, values, self._mask))
        sums = op.convert(op.scaled_dot_product_attention(*inputs), ov.Type.f32)
        by_head = op.reshape(sums, _integers([1, shape.kv_heads * sharing, -1, shape.head]), False)
        return op.reshape(op.transpose(by_head, _integers([0, 2, 1, 3])), _integers([0, 0, -1]), True)

    def _store(self, kind: str, layer: int, new: Output) -> Output:
        """Return keys or values (1, kv_heads, past + tokens, head); make those of the new tokens a result."""
        shape = self._shape
        by_token = op.transpose(new, _integers([0, 2, 1, 3]))
        rows = op.convert(op.reshape(by_token, _integers([-1, shape.kv_width]), False), np.float16)
        result = op.result(rows)
        result.output(0).set_names({f"new_{kind}.{layer}"})
        self._results.append(result)
        past = _input(f"{kind}.{layer}", [-1, shape.kv_width], np.float16)
        self._parameters.append(past)
        before = op.reshape(op.convert(past, np.float32), _integers([1, -1, shape.kv_heads, shape.head]), False)
        return op.concat([op.transpose(before, _integers([0, 2, 1, 3])), new], 2)

    def _heads(self, hidden: Output, name: str, heads: int, *, is_rotated: bool = True) -> Output:
        """Return a projection of the hidden states as (1, heads, tokens, head)."""
        order = self._split_pairs(heads) if is_rotated and self._shape.is_interleaved else None
        by_token = op.reshape(self._linear(hidden, name, order), _integers([0, 0, heads, self._shape.head]), True)
        return op.transpose(by_token, _integers([0, 2, 1, 3]))

    def _rotations(self, positions: Output) -> tuple[Output, Output]:
        """Return the cosines and sines of the rotary positions, (1, 1, tokens, head)."""
        shape = self._shape
        rates = shape.rope_base ** -(np.arange(0, shape.head, 2, dtype=np.float64) / shape.head)
        if ROPE_FACTORS in self._weights:
            rates = rates / self._weights.floats(ROPE_FACTORS).reshape(-1)
        pair = np.concatenate([rates, rates])
        column = op.unsqueeze(op.convert(positions, np.float32), _integers([1]))
        angles = op.unsqueeze(op.multiply(column, _floats(pair.reshape(1, -1))), _integers([0, 1]))
        return op.cos(angles), op.sin(angles)

    def _rotate(self, heads: Output) -> Output:
        """Apply the rotary positions. Pairs are half a head apart at first, because OpenVINO computes that at once."""
        half = self._shape.head // 2
        low = op.slice(heads, _integers([0]), _integers([half]), _integers([1]), _integers([3]))
        high = op.slice(heads, _integers([half]), _integers([_END]), _integers([1]), _integers([3]))
        turned = op.concat([op.multiply(high, _floats(np.full((1, 1, 1, 1), -1.0))), low], -1)
        rotated = op.add(op.multiply(heads, self._cosine), op.multiply(turned, self._sine))
        if not self._shape.is_interleaved:
            return rotated
        pairs = op.transpose(op.reshape(rotated, _integers([0, 0, 0, 2, half]), True), _integers([0, 1, 2, 4, 3]))
        return op.reshape(pairs, _integers([0, 0, 0, self._shape.head]), True)

    def _norm(self, hidden: Output, name: str) -> Output:
        """Apply a root mean square norm (Zhang and Sennrich 2019) over the last axis."""
        weight = self._weights.floats(f"{name}.weight").reshape(-1)
        mean = op.reduce_mean(op.power(hidden, _floats(2.0)), _integers([-1]), True)
        scale = op.divide(_floats(1.0), op.sqrt(op.add(mean, _floats(self._shape.epsilon))))
        return op.multiply(_floats(weight), op.multiply(hidden, scale))

    def _head_norm(self, heads: Output, name: str) -> Output:
        """Apply the norm that some models have for each head."""
        return self._norm(heads, f"{name}_norm") if f"{name}_norm.weight" in self._weights else heads

    def _split_pairs(self, heads: int) -> NDArray[np.int64]:
        """Return the order of rows in which the pairs of a head are half a head apart, not neighbours."""
        rows = np.arange(heads * self._shape.head).reshape(heads, self._shape.head // 2, 2)
        return rows.swapaxes(1, 2).reshape(-1)

    def _linear(self, hidden: Output, name: str, order: NDArray[np.int64] | None = None) -> Output:
        """Apply a matrix and its bias. `order`: of its rows, None as they are."""
        values, scales = self._weights.int8_groups(f"{name}.weight")
        rows = slice(None) if order is None else order
        values, scales = values[rows], scales[rows]
        groups = op.multiply(op.convert(op.constant(values), np.float16), op.constant(scales))
        size = [values.shape[0], values.shape[1] * values.shape[2]]
        matrix = op.convert(op.reshape(groups, _integers(size), False), np.float32)
        product = op.matmul(hidden, matrix, False, True)
        if f"{name}.bias" in self._weights:
            product = op.add(product, _floats(self._weights.floats(f"{name}.bias").reshape(1, 1, -1)[..., rows]))
        return product


def _input(name: str, shape: Sequence[int], kind: type) -> Output:
    parameter = op.parameter(list(shape), kind, name)
    parameter.output(0).set_names({name})
    return parameter


def _integers(values: int | Sequence[int]) -> Output:
    return op.constant(np.array(values, np.int64))


def _floats(values: Any) -> Output:
    return op.constant(np.array(values, np.float32))
