"""Projectors of some kilobytes with random weights: one whose positions have four parts, and one that hears."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from homeport.formats.gguf_writer import F32, Tensor, Value, write
from tests.samples import tiny_decoders

PATCH = 14
_WIDTH, _INNER, _MERGED, _BANDS = 32, 64, 4, 80


def grid_projector(path: Path) -> Path:
    """Write a projector of Qwen2-VL's kind for `tiny_decoders`: four patches of 14 x 14 become one embedding."""
    shapes: dict[str, tuple[int, ...]] = {
        "v.patch_embd.weight": (_WIDTH, 3, PATCH, PATCH),
        "v.patch_embd.weight.1": (_WIDTH, 3, PATCH, PATCH),
        "v.post_ln.weight": (_WIDTH,),
        "v.post_ln.bias": (_WIDTH,),
        "mm.0.weight": (_MERGED * _WIDTH, _MERGED * _WIDTH),
        "mm.0.bias": (_MERGED * _WIDTH,),
        "mm.2.weight": (tiny_decoders.WIDTH, _MERGED * _WIDTH),
        "mm.2.bias": (tiny_decoders.WIDTH,),
    }
    shapes |= _block("v.blk.0.")
    values: dict[str, Value] = {
        "general.architecture": "clip",
        "general.type": "mmproj",
        "clip.has_vision_encoder": True,
        "clip.projector_type": "qwen2vl_merger",
        "clip.use_gelu": True,
        "clip.vision.image_size": 40 * PATCH,
        "clip.vision.patch_size": PATCH,
        "clip.vision.embedding_length": _WIDTH,
        "clip.vision.feed_forward_length": _INNER,
        "clip.vision.block_count": 1,
        "clip.vision.projection_dim": tiny_decoders.WIDTH,
        "clip.vision.attention.head_count": 2,
        "clip.vision.attention.layer_norm_epsilon": 1e-6,
        "clip.vision.image_mean": (0.5, 0.5, 0.5),
        "clip.vision.image_std": (0.5, 0.5, 0.5),
    }
    return _write(path, values, shapes)


def ear(path: Path, width: int) -> Path:
    """Write a projector of Ultravox' kind for a text model of this width: 30 s of sound become 375 embeddings."""
    shapes: dict[str, tuple[int, ...]] = {
        "a.conv1d.1.weight": (_WIDTH, _BANDS, 3),
        "a.conv1d.1.bias": (_WIDTH, 1),
        "a.conv1d.2.weight": (_WIDTH, _WIDTH, 3),
        "a.conv1d.2.bias": (_WIDTH, 1),
        "a.position_embd.weight": (1500, _WIDTH),
        "a.post_ln.weight": (_WIDTH,),
        "a.post_ln.bias": (_WIDTH,),
        "mm.a.mlp.1.weight": (2 * width, _WIDTH * _MERGED),
        "mm.a.mlp.2.weight": (width, width),
        "mm.a.norm_pre.weight": (_WIDTH * _MERGED,),
        "mm.a.norm_mid.weight": (width,),
    }
    shapes |= _block("a.blk.0.")
    del shapes["a.blk.0.attn_k.bias"]
    values: dict[str, Value] = {
        "general.architecture": "clip",
        "general.type": "mmproj",
        "clip.has_audio_encoder": True,
        "clip.projector_type": "ultravox",
        "clip.use_gelu": True,
        "clip.audio.num_mel_bins": _BANDS,
        "clip.audio.embedding_length": _WIDTH,
        "clip.audio.feed_forward_length": _INNER,
        "clip.audio.block_count": 1,
        "clip.audio.projection_dim": width,
        "clip.audio.attention.head_count": 2,
        "clip.audio.attention.layer_norm_epsilon": 1e-5,
        "clip.audio.projector.stack_factor": _MERGED,
    }
    return _write(path, values, shapes)


def _block(at: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of one layer."""
    shapes: dict[str, tuple[int, ...]] = {}
    for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
        shapes |= {f"{at}{part}.weight": (_WIDTH, _WIDTH), f"{at}{part}.bias": (_WIDTH,)}
    for part in ("ln1", "ln2"):
        shapes |= {f"{at}{part}.weight": (_WIDTH,), f"{at}{part}.bias": (_WIDTH,)}
    shapes |= {f"{at}ffn_up.weight": (_INNER, _WIDTH), f"{at}ffn_up.bias": (_INNER,)}
    return shapes | {f"{at}ffn_down.weight": (_WIDTH, _INNER), f"{at}ffn_down.bias": (_WIDTH,)}


def _write(path: Path, values: Mapping[str, Value], shapes: Mapping[str, tuple[int, ...]]) -> Path:
    rng = np.random.default_rng(3)
    weights = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    write(path, values, [Tensor(name, F32, each.shape[::-1], each.tobytes()) for name, each in weights.items()])
    return path
