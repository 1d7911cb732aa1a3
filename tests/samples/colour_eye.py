"""The colour eye: a projector made by code that sees the colour of each patch of 14 x 14 pixels.

The embedding of a patch is the text model's own embedding of the colour's word. So a picture of colours is to the
model what these words are, and its answers can be compared with those to the words.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from homeport.engines.llama.library import kernels
from homeport.engines.text.executors.llama.gguf_tensors import GgufTensors
from homeport.formats.gguf_writer import F32, Tensor, Value, write

PATCH, SIDE = 14, 2
"""Pixels of a patch, and patches of a row: a picture of the eye is 28 pixels wide."""

COLORS: Mapping[str, tuple[int, int, int]] = {
    " red": (255, 0, 0),
    " green": (0, 255, 0),
    " blue": (0, 0, 255),
    " white": (255, 255, 255),
    " black": (0, 0, 0),
    " yellow": (255, 255, 0),
    " purple": (255, 0, 255),
    " sky": (0, 255, 255),
}
"""By the word whose embedding stands for it; each is one token of the default text model."""

_WIDTH, _INNER, _UNITS = 32, 64, 32
_GAIN = 20.0  # of the first product: one unit is then on for each colour and all others off, so GELU is exact
_OFF = -40.0


def picture(words: Sequence[str], *, scale: int = 1, format: str = "PNG") -> bytes:
    """Return a picture of squares, row by row, each in the colour of a word."""
    pixels = np.zeros((SIDE * PATCH, SIDE * PATCH, 3), np.uint8)
    for at, word in enumerate(words):
        top, left = at // SIDE * PATCH, at % SIDE * PATCH
        pixels[top : top + PATCH, left : left + PATCH] = COLORS[word]
    file = io.BytesIO()
    with Image.fromarray(pixels.repeat(scale, 0).repeat(scale, 1)) as image:
        image.save(file, format)
    return file.getvalue()


def write_eye(path: Path, weights: Path, ids: Sequence[int], values: Mapping[str, Value] | None = None) -> Path:
    """Write the projector for a text model; `ids`: the tokens of the words of `COLORS`. `values`: other metadata."""
    rows = GgufTensors(kernels(None), weights).rows("token_embd.weight", np.array(ids, np.int32))
    metadata: dict[str, Value] = {
        "general.architecture": "clip",
        "general.type": "mmproj",
        "general.name": "colour eye",
        "clip.has_vision_encoder": True,
        "clip.projector_type": "mlp",
        "clip.use_gelu": True,
        "clip.vision.image_size": SIDE * PATCH,
        "clip.vision.patch_size": PATCH,
        "clip.vision.embedding_length": _WIDTH,
        "clip.vision.feed_forward_length": _INNER,
        "clip.vision.block_count": 1,
        "clip.vision.projection_dim": rows.shape[1],
        "clip.vision.attention.head_count": 2,
        "clip.vision.attention.layer_norm_epsilon": 1e-5,
        "clip.vision.image_mean": (0.5, 0.5, 0.5),
        "clip.vision.image_std": (0.5, 0.5, 0.5),
        **(values or {}),
    }
    write(path, metadata, [_tensor(name, each) for name, each in _weights(rows).items()])
    return path


def _weights(rows: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Return the weights: the mean colour of a patch, a block of attention that adds nothing, and two products."""
    patches = np.zeros((_WIDTH, 3, PATCH, PATCH), np.float32)
    for channel in range(3):
        patches[channel, channel] = 1 / PATCH**2
    signs = np.array([[1 if value else -1 for value in color] for color in COLORS.values()], np.float32)
    units, bias = np.zeros((_UNITS, _WIDTH), np.float32), np.full(_UNITS, _OFF, np.float32)
    units[: len(signs), :3] = signs * _GAIN
    bias[: len(signs)] = -2 * _GAIN  # a patch of the unit's colour sums to 3 * _GAIN, any other to at most _GAIN
    output = np.zeros((rows.shape[1], _UNITS), np.float32)
    output[:, : len(rows)] = rows.T / _GAIN
    block = {f"attn_{part}": (_WIDTH, _WIDTH) for part in ("q", "k", "v", "out")}
    block |= {"ffn_up": (_INNER, _WIDTH), "ffn_down": (_WIDTH, _INNER)}
    weights = {"v.patch_embd.weight": patches, "v.position_embd.weight": np.zeros((SIDE**2, _WIDTH), np.float32)}
    for name, shape in block.items():
        weights[f"v.blk.0.{name}.weight"] = np.zeros(shape, np.float32)
        weights[f"v.blk.0.{name}.bias"] = np.zeros(shape[0], np.float32)
    for name in ("ln1", "ln2"):
        weights[f"v.blk.0.{name}.weight"] = np.ones(_WIDTH, np.float32)
        weights[f"v.blk.0.{name}.bias"] = np.zeros(_WIDTH, np.float32)
    return {
        **weights,
        "mm.0.weight": units,
        "mm.0.bias": bias,
        "mm.2.weight": output,
        "mm.2.bias": np.zeros(rows.shape[1], np.float32),
    }


def _tensor(name: str, values: NDArray[np.float32]) -> Tensor:
    return Tensor(name, F32, tuple(reversed(values.shape)), values.tobytes())
