"""Text models of some kilobytes with random weights, written as GGUF.

They have the architectures that OpenVINO computes, and one whose positions have four parts.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from homeport.formats.gguf_writer import F32, Int32Array, Tensor, Value, write
from tests.samples.tiny_encoders import PIECES, tokeniser

WIDTH, HEADS, KV_HEADS, INNER, LAYERS, WINDOW = 64, 4, 2, 128, 3, 2048
HEAD_WIDTHS = {"llama": 16, "qwen2": 16, "qwen2vl": 16, "qwen3": 32}
"""The values of a head; by the width and the number of heads, but for qwen3."""


def decoder(path: Path, family: str, extra: Mapping[str, Value] | None = None, *, scaled_rope: bool = False) -> Path:
    """Write a model. `extra`: more metadata; `scaled_rope`: with factors for its rotary positions, as Llama 3 has."""
    rng = np.random.default_rng(11)
    head = HEAD_WIDTHS[family]
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (len(PIECES), WIDTH), "output_norm.weight": (WIDTH,)}
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        sizes = {"attn_q": HEADS * head, "attn_k": KV_HEADS * head, "attn_v": KV_HEADS * head}
        shapes |= {f"{at}{part}.weight": (size, WIDTH) for part, size in sizes.items()}
        if family in ("qwen2", "qwen2vl"):
            shapes |= {f"{at}{part}.bias": (size,) for part, size in sizes.items()}
        if family == "qwen3":
            shapes |= {f"{at}attn_q_norm.weight": (head,), f"{at}attn_k_norm.weight": (head,)}
        shapes |= {f"{at}attn_output.weight": (WIDTH, HEADS * head)}
        shapes |= {f"{at}{part}.weight": (WIDTH,) for part in ("attn_norm", "ffn_norm")}
        shapes |= {f"{at}ffn_gate.weight": (INNER, WIDTH), f"{at}ffn_up.weight": (INNER, WIDTH)}
        shapes |= {f"{at}ffn_down.weight": (WIDTH, INNER)}
    weights = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    if scaled_rope:
        weights["rope_freqs.weight"] = np.linspace(1, 8, head // 2).astype(np.float32)
    values = {
        "general.architecture": family,
        "general.type": "model",
        f"{family}.context_length": WINDOW,
        f"{family}.embedding_length": WIDTH,
        f"{family}.feed_forward_length": INNER,
        f"{family}.block_count": LAYERS,
        f"{family}.attention.head_count": HEADS,
        f"{family}.attention.head_count_kv": KV_HEADS,
        f"{family}.attention.key_length": head,
        f"{family}.attention.value_length": head,
        f"{family}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{family}.rope.freq_base": 50_000.0,
        **tokeniser(f"tiny {family}"),
        **({"qwen2vl.rope.dimension_sections": Int32Array((3, 3, 2, 0))} if family == "qwen2vl" else {}),
        **(extra or {}),
    }
    write(path, values, [Tensor(name, F32, each.shape[::-1], each.tobytes()) for name, each in weights.items()])
    return path
