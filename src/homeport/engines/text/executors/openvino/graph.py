"""The graph of a decoder over a paged KV cache, in OpenVINO's operations.

Inputs: `embeddings` (tokens, width) and `positions` (tokens) of the sequences' runs one after the other; `wanted`: the
indices of the tokens whose logits are computed; for each sequence its tokens before (`past_lens`), where its run begins
(`subsequence_begins`, with the end), and where its blocks begin in `block_indices` (`block_indices_begins`, with the
end); `max_context_len`; and for each layer the blocks `key_cache.N` and `value_cache.N`, which are written, too.
Output: `logits` (1, wanted, vocabulary). Weights are int8 in groups of 32 with a float16 scale, which OpenVINO keeps as
they are. Patterns are written as OpenVINO's fusions expect them. Knows nothing of files or of who uses which blocks.
Sources: Llama (Touvron et al. 2023), RoPE (Su et al. 2021), paged attention (Kwon et al. 2023),
https://docs.openvino.ai/2026/documentation/openvino-ir-format/operation-sets.html
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op
from openvino.op import _PagedAttentionExtension as PagedAttention  # no public name leads to it

from homeport.engines.text.executors.openvino.architecture import ROPE_FACTORS, Architecture

Output = Any
"""An output of an operation; OpenVINO's own type has no annotations."""

GROUP = 32
"""WeightTensors that share a scale."""

BYTES_PER_WEIGHT = 1 + 2 / GROUP
"""With its share of the scale."""

_END = 2**31 - 1
_CONTROLS = ("past_lens", "subsequence_begins", "block_indices", "block_indices_begins")


class Keep(Protocol):
    """Copies an array to where it lasts as long as the graph."""

    def __call__(self, array: NDArray[Any], /) -> NDArray[Any]:
        """Return the copy."""
        ...


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


def attention_type(weights: WeightTensors, *, has_bfloat16: bool) -> Any:
    """Return the type in which attention is computed: bfloat16 if the processor has it and it is exact enough.

    Biases make some keys so large that bfloat16 leaves too few digits for the differences between scores.
    """
    return ov.Type.bf16 if has_bfloat16 and "blk.0.attn_k.bias" not in weights else ov.Type.f32


def cache_names(shape: Architecture) -> list[str]:
    """Return the names of the inputs that are blocks: keys and values of each layer."""
    return [f"{kind}_cache.{layer}" for layer in range(shape.layers) for kind in ("key", "value")]


def build(shape: Architecture, weights: WeightTensors, type: Any, keep: Keep) -> ov.Model:
    """Build the graph of a model. `type`: of the attention."""
    return _Graph(shape, weights, type, keep).build()


class _Graph:
    def __init__(self, shape: Architecture, weights: WeightTensors, type: Any, keep: Keep) -> None:
        self._keep = keep
        self._shape = shape
        self._weights = weights
        self._type = type
        self._embeddings = _input("embeddings", [-1, shape.width], np.float32)
        self._positions, self._wanted = (_input(name, [-1], np.int64) for name in ("positions", "wanted"))
        self._controls = [_input(name, [-1], np.int32) for name in _CONTROLS]
        self._longest = _input("max_context_len", [], np.int32)
        self._parameters = [self._embeddings, self._positions, self._wanted, *self._controls, self._longest]
        self._cosine, self._sine = self._rotations(self._positions)

    def build(self) -> ov.Model:
        hidden = op.unsqueeze(self._embeddings, _integers([0]))
        for layer in range(self._shape.layers):
            hidden = self._layer(layer, hidden)
        head = "output" if "output.weight" in self._weights else "token_embd"
        result = op.result(self._linear(self._norm(hidden, "output_norm"), head))
        result.output(0).set_names({"logits"})
        return ov.Model([result], self._parameters, "decoder")

    def _layer(self, layer: int, hidden: Output) -> Output:
        name, shape = f"blk.{layer}.", self._shape
        normed = self._norm(hidden, f"{name}attn_norm")
        query = self._rotate(self._head_norm(self._heads(normed, f"{name}attn_q", shape.heads), f"{name}attn_q"))
        key = self._rotate(self._head_norm(self._heads(normed, f"{name}attn_k", shape.kv_heads), f"{name}attn_k"))
        value = op.reshape(self._linear(normed, f"{name}attn_v"), _integers([-1, shape.kv_width]), False)
        joined = self._attend(layer, self._by_token(query, shape.heads), self._by_token(key, shape.kv_heads), value)
        if layer == shape.layers - 1:  # from here on, only the wanted tokens
            joined, hidden = (op.gather(each, self._wanted, _integers(1)) for each in (joined, hidden))
        hidden = op.add(hidden, self._linear(joined, f"{name}attn_output"))
        normed = self._norm(hidden, f"{name}ffn_norm")
        gate, up = self._linear(normed, f"{name}ffn_gate"), self._linear(normed, f"{name}ffn_up")
        return op.add(hidden, self._linear(op.multiply(op.swish(gate), up), f"{name}ffn_down"))

    def _attend(self, layer: int, query: Output, key: Output, value: Output) -> Output:
        """Store keys and values (tokens, kv_width); return the weighted sums of all values (1, tokens, heads * head).

        What the operation offers beyond that is left out: windows, biases, sinks, scores, eviction and sparsity.
        """
        shape = self._shape
        caches = [_input(f"{kind}_cache.{layer}", [-1] * 4, ov.Type.dynamic) for kind in ("key", "value")]
        self._parameters += caches
        zero, no_integers, no_floats, no_bytes = (
            op.constant(each)
            for each in (np.array(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.uint8))
        )
        inputs = [
            *(op.convert(each, self._type) if self._type != ov.Type.f32 else each for each in (query, key, value)),
            *(*caches, *self._controls, _floats(shape.head**-0.5)),
            *(zero, no_floats, self._longest),  # sliding window, slopes of biases
            no_integers,  # scores of evictable tokens
            *(no_integers, no_integers, no_floats),  # rotations of blocks
            *(no_floats, zero, zero),  # sparsity
            no_floats,  # sinks
            *(zero, no_integers, no_integers, no_integers),  # eviction
            *(no_integers, no_bytes, no_integers),  # token types, biases between queries
        ]
        attention = PagedAttention([each.output(0) for each in inputs])
        heads = {"num_k_heads": shape.kv_heads, "num_v_heads": shape.kv_heads}
        for name, size in {**heads, "k_head_size": shape.head, "v_head_size": shape.head}.items():
            attention.get_rt_info()[name] = size
        return op.unsqueeze(op.convert(attention.output(0), ov.Type.f32), _integers([0]))

    def _by_token(self, heads: Output, count: int) -> Output:
        """Return heads (1, heads, tokens, head) as (tokens, heads * head)."""
        return op.reshape(
            op.transpose(heads, _integers([0, 2, 1, 3])), _integers([-1, count * self._shape.head]), False
        )

    def _heads(self, hidden: Output, name: str, heads: int) -> Output:
        """Return a projection of the hidden states as (1, heads, tokens, head), pairs half a head apart."""
        order = self._split_pairs(heads) if self._shape.is_interleaved else None
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
        """Apply the rotary positions to heads whose pairs are half a head apart."""
        half = self._shape.head // 2
        low = op.slice(heads, _integers([0]), _integers([half]), _integers([1]), _integers([3]))
        high = op.slice(heads, _integers([half]), _integers([_END]), _integers([1]), _integers([3]))
        turned = op.concat([op.multiply(high, _floats(np.full((1, 1, 1, 1), -1.0))), low], -1)
        return op.add(op.multiply(heads, self._cosine), op.multiply(turned, self._sine))

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
        kept, kept_scales = (op.constant(self._keep(each), shared_memory=True) for each in (values, scales))
        groups = op.multiply(op.convert(kept, np.float16), kept_scales)
        size = [values.shape[0], values.shape[1] * values.shape[2]]
        matrix = op.convert(op.reshape(groups, _integers(size), False), np.float32)
        product = op.matmul(hidden, matrix, False, True)
        if f"{name}.bias" in self._weights:
            product = op.add(product, _floats(self._weights.floats(f"{name}.bias").reshape(1, 1, -1)[..., rows]))
        return product


def _input(name: str, shape: Sequence[int], kind: Any) -> Output:
    parameter = op.parameter(list(shape), kind, name)
    parameter.output(0).set_names({name})
    return parameter


def _integers(values: int | Sequence[int]) -> Output:
    return op.constant(np.array(values, np.int64))


def _floats(values: Any) -> Output:
    return op.constant(np.array(values, np.float32))
