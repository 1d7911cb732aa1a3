"""Builds a tiny checkpoint in FLUX's format: it generates noise, with the real library.

Depth and hidden size are read from the tensors, so one block of each kind at 128 is a valid model. The text encoder's
sizes are fixed (CLIP-L): all its layers are zeros, written as holes, which take no room on the disk. Only the places of
tokens have values, so a prompt's length in tokens changes the image, and its words do not.
"""

import json
import platform
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HIDDEN = 128
IS_NOWHERE = sys.platform == "linux" and platform.machine() != "x86_64"
NOWHERE = "there is no wheel of cyllama for Linux on arm64"
Array = NDArray[np.float16] | NDArray[np.float32]


def make(folder: Path) -> Mapping[str, Path]:
    """Write the model into `folder`; return its files by role."""
    files = {"diffusion": "flux.safetensors", "taesd": "taef1.safetensors", "clip_l": "clip_l.safetensors"}
    paths = {role: folder / name for role, name in files.items()}
    _write(paths["diffusion"], dict(_transformer()))
    _write(paths["taesd"], dict(_autoencoder()))
    _write_holes(paths["clip_l"], dict(_clip()))
    return paths


def make_lora(path: Path, scale: float) -> Path:
    """Write a LoRA for this model: a change of rank 4 to one layer."""
    rng = np.random.default_rng(7)
    name = "diffusion_model.final_layer.linear"
    down, up = (rng.normal(0, scale, shape).astype(np.float32) for shape in ((4, HIDDEN), (64, 4)))
    _write(path, {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up})
    return path


def _transformer() -> Iterator[tuple[str, Array]]:
    rng = np.random.default_rng(0)

    def linear(name: str, out: int, into: int, scale: float = 0.05) -> Iterator[tuple[str, Array]]:
        yield f"model.diffusion_model.{name}.weight", rng.normal(0, scale, (out, into)).astype(np.float16)
        yield f"model.diffusion_model.{name}.bias", np.zeros(out, np.float32)

    def norms(name: str) -> Iterator[tuple[str, Array]]:
        for part in ("query", "key"):
            yield f"model.diffusion_model.{name}.{part}_norm.scale", np.ones(HIDDEN, np.float32)

    yield from linear("img_in", HIDDEN, 64)
    for name, into in (("time_in", 256), ("vector_in", 768)):
        yield from linear(f"{name}.in_layer", HIDDEN, into)
        yield from linear(f"{name}.out_layer", HIDDEN, HIDDEN)
    yield from linear("txt_in", HIDDEN, 4096)
    for side in ("img", "txt"):
        block = f"double_blocks.0.{side}"
        yield from linear(f"{block}_mod.lin", 6 * HIDDEN, HIDDEN)
        yield from linear(f"{block}_attn.qkv", 3 * HIDDEN, HIDDEN)
        yield from linear(f"{block}_attn.proj", HIDDEN, HIDDEN)
        yield from linear(f"{block}_mlp.0", 4 * HIDDEN, HIDDEN)
        yield from linear(f"{block}_mlp.2", HIDDEN, 4 * HIDDEN)
        yield from norms(f"{block}_attn.norm")
    yield from linear("single_blocks.0.modulation.lin", 3 * HIDDEN, HIDDEN)
    yield from linear("single_blocks.0.linear1", 7 * HIDDEN, HIDDEN)
    yield from linear("single_blocks.0.linear2", HIDDEN, 5 * HIDDEN)
    yield from norms("single_blocks.0.norm")
    yield from linear("final_layer.linear", 64, HIDDEN)
    yield from linear("final_layer.adaLN_modulation.1", 2 * HIDDEN, HIDDEN)


def _autoencoder() -> Iterator[tuple[str, Array]]:
    rng = np.random.default_rng(1)

    def conv(name: str, into: int, out: int, *, bias: bool = True) -> Iterator[tuple[str, Array]]:
        yield f"{name}.weight", rng.normal(0, (into * 9) ** -0.5, (out, into, 3, 3)).astype(np.float16)
        if bias:
            yield f"{name}.bias", np.zeros(out, np.float32)

    def block(name: str) -> Iterator[tuple[str, Array]]:
        for layer in (0, 2, 4):
            yield from conv(f"{name}.conv.{layer}", 64, 64)

    yield from conv("encoder.layers.0", 3, 64)
    yield from block("encoder.layers.1")
    index = 2
    for _ in range(3):
        yield from conv(f"encoder.layers.{index}", 64, 64, bias=False)
        for place in (1, 2, 3):
            yield from block(f"encoder.layers.{index + place}")
        index += 4
    yield from conv(f"encoder.layers.{index}", 64, 16)
    yield from conv("decoder.layers.0", 16, 64)
    index = 2
    for _ in range(3):
        for place in (0, 1, 2):
            yield from block(f"decoder.layers.{index + place}")
        yield from conv(f"decoder.layers.{index + 4}", 64, 64, bias=False)
        index += 5
    yield from block(f"decoder.layers.{index}")
    yield from conv(f"decoder.layers.{index + 1}", 64, 3)


def _clip() -> Iterator[tuple[str, tuple[int, ...]]]:
    width = 768
    yield "text_model.embeddings.token_embedding.weight", (49408, width)
    yield "text_model.embeddings.position_embedding.weight", (77, width)
    for index in range(12):
        layer = f"text_model.encoder.layers.{index}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield f"{layer}.self_attn.{name}.weight", (width, width)
            yield f"{layer}.self_attn.{name}.bias", (width,)
        for norm in ("layer_norm1", "layer_norm2"):
            yield f"{layer}.{norm}.weight", (width,)
            yield f"{layer}.{norm}.bias", (width,)
        for name, out, into in (("fc1", 4 * width, width), ("fc2", width, 4 * width)):
            yield f"{layer}.mlp.{name}.weight", (out, into)
            yield f"{layer}.mlp.{name}.bias", (out,)
    yield "text_model.final_layer_norm.weight", (width,)
    yield "text_model.final_layer_norm.bias", (width,)


def _write(path: Path, tensors: Mapping[str, Array]) -> None:
    kinds = {"float16": "F16", "float32": "F32"}
    header, offset = {}, 0
    for name, array in tensors.items():
        end = offset + array.nbytes
        header[name] = {"dtype": kinds[array.dtype.name], "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    with path.open("wb") as file:
        file.write(_packed(header))
        for array in tensors.values():
            file.write(array.tobytes())


def _write_holes(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    header: dict[str, Any] = {}
    offset = 0
    for name, shape in shapes.items():
        end = offset + 2 * int(np.prod(shape))
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    packed = _packed(header)
    rng = np.random.default_rng(2)
    with path.open("wb") as file:
        file.write(packed)
        file.truncate(len(packed) + offset)
        for name, values in (
            ("text_model.embeddings.position_embedding.weight", rng.normal(0, 1, (77, 768))),
            ("text_model.final_layer_norm.weight", np.ones(768)),
        ):
            file.seek(len(packed) + header[name]["data_offsets"][0])
            file.write(values.astype(np.float16).tobytes())


def _packed(header: Mapping[str, object]) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
