"""A GGUF file's tensors as float32 and its model's shape, for programs that build a graph of it.

Knows nothing of graphs. Reads through llama.cpp's own conversions.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.engines.llama.library import LlamaLibrary
from homeport.engines.llama.model import LlamaModel
from homeport.engines.text.executors.llama.gguf_tensors import GgufTensors

FloatArray = NDArray[np.float32]

VOCABULARY = 4096
"""Tokens that the loads consist of and whose logits are compared: the first of the vocabulary."""

_FAMILIES = {"llama": True, "qwen2": False, "qwen3": False}  # whether the rotated pairs are neighbors


class Shape(msgspec.Struct, frozen=True):
    """A decoder's sizes. `pairs`: rotary embeddings rotate neighbors; otherwise the two halves of a head."""

    layers: int
    width: int
    hidden: int
    heads: int
    kv_heads: int
    head: int
    epsilon: float
    rope_base: float
    pairs: bool

    @property
    def block_weights(self) -> int:
        """The weights of all blocks that each token is multiplied with."""
        attention = self.width * self.head * 2 * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.width * self.hidden)


class Weights(msgspec.Struct):
    """A model: its shape, the tensors of its blocks by name, and the rows of both ends that `VOCABULARY` needs."""

    shape: Shape
    blocks: dict[str, FloatArray]
    embedding: FloatArray
    output: FloatArray
    output_norm: FloatArray

    def logits(self, hidden: FloatArray) -> FloatArray:
        """Return the logits (rows, VOCABULARY) of the last block's output (rows, width)."""
        scale = np.sqrt((hidden * hidden).mean(axis=1, keepdims=True) + self.shape.epsilon)
        logits: FloatArray = (hidden / scale * self.output_norm) @ self.output.T
        return logits

    def optional(self, name: str) -> FloatArray | None:
        """Return a tensor that some models lack."""
        return self.blocks.get(name)


def read(library: LlamaLibrary, file: Path) -> Weights:
    """Read a file. Raises ValueError for an architecture that the graphs do not know, or Unavailable as llama.cpp."""
    model = LlamaModel(library, file)
    metadata = dict(model.metadata)
    model.close()
    shape = read_shape(metadata)
    blocks: dict[str, FloatArray] = {}
    ends: dict[str, FloatArray] = {}
    tensors = GgufTensors(library, file)
    for name in tensors.names:
        values = tensors.floats(name)
        if name.startswith("blk."):
            blocks[name] = values if len(values) > 1 else values[0]
        elif name in ("token_embd.weight", "output.weight", "output_norm.weight"):
            ends[name] = values[:VOCABULARY].copy()
    embedding = ends["token_embd.weight"]
    output = ends.get("output.weight", embedding)
    return Weights(shape, blocks, embedding, output, ends["output_norm.weight"][0])


def read_shape(metadata: Mapping[str, str]) -> Shape:
    """Read the sizes from a file's metadata. Raises ValueError for an unknown architecture."""
    family = metadata["general.architecture"]
    if family not in _FAMILIES:
        raise ValueError(f"No graph is known for the architecture {family}: only for {', '.join(_FAMILIES)}.")

    def number(key: str) -> float:
        return float(metadata[f"{family}.{key}"])

    heads, width = int(number("attention.head_count")), int(number("embedding_length"))
    return Shape(
        layers=int(number("block_count")),
        width=width,
        hidden=int(number("feed_forward_length")),
        heads=heads,
        kv_heads=int(metadata.get(f"{family}.attention.head_count_kv", heads)),
        head=int(metadata.get(f"{family}.attention.key_length", width // heads)),
        epsilon=number("attention.layer_norm_rms_epsilon"),
        rope_base=float(metadata.get(f"{family}.rope.freq_base", 10000.0)),
        pairs=_FAMILIES[family],
    )


def quantize(weights: FloatArray, group: int) -> tuple[NDArray[np.int8], FloatArray]:
    """Return 8-bit integers (rows, groups, group) and the scales (rows, groups) that they are multiplied with.

    Scales are rounded to float16, as in Q8_0. Raises ValueError if a row is not whole groups.
    """
    rows, columns = weights.shape
    if columns % group:
        raise ValueError(f"rows of {columns} weights are not whole groups of {group}")
    grouped = weights.reshape(rows, columns // group, group)
    scales = np.maximum(np.abs(grouped).max(axis=2) / 127, 1e-7).astype(np.float16).astype(np.float32)
    integers = np.clip(np.rint(grouped / scales[:, :, None]), -127, 127).astype(np.int8)
    return integers, scales
