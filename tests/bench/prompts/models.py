"""A tiny model with random weights, and its blocks computed with plain numpy."""

import numpy as np

from bench.prompts.model_weights import FloatArray, Shape, Weights


def shape(*, pairs: bool) -> Shape:
    return Shape(
        layers=2,
        width=64,
        hidden=96,
        heads=4,
        kv_heads=2,
        head=16,
        epsilon=1e-5,
        rope_base=100.0,
        pairs=pairs,
    )


def weights(*, pairs: bool, head_norms: bool = False) -> Weights:
    """A model like llama (`pairs`), like qwen2, or like qwen3 (`head_norms`)."""
    draw = np.random.default_rng(0)
    size = shape(pairs=pairs)

    def floats(*extents: int) -> FloatArray:
        return draw.standard_normal(extents, np.float32) * np.float32(0.3)

    blocks = {}
    for layer in range(size.layers):
        rows = {"q": size.heads * size.head, "k": size.kv_heads * size.head, "v": size.kv_heads * size.head}
        for name, count in rows.items():
            blocks[f"blk.{layer}.attn_{name}.weight"] = floats(count, size.width)
            if not pairs:
                blocks[f"blk.{layer}.attn_{name}.bias"] = floats(count)
        for name in "qk" if head_norms else "":
            blocks[f"blk.{layer}.attn_{name}_norm.weight"] = 1 + floats(size.head)
        blocks[f"blk.{layer}.attn_output.weight"] = floats(size.width, size.heads * size.head)
        blocks[f"blk.{layer}.ffn_gate.weight"] = floats(size.hidden, size.width)
        blocks[f"blk.{layer}.ffn_up.weight"] = floats(size.hidden, size.width)
        blocks[f"blk.{layer}.ffn_down.weight"] = floats(size.width, size.hidden)
        for name in ("attn_norm", "ffn_norm"):
            blocks[f"blk.{layer}.{name}.weight"] = 1 + floats(size.width)
    embedding = floats(32, size.width)
    return Weights(size, blocks, embedding, embedding, 1 + floats(size.width))


def compute(model: Weights, x: FloatArray) -> FloatArray:
    """Compute all blocks for one prompt (tokens, width), from its beginning."""
    size = model.shape
    for layer in range(size.layers):
        h = _norm(model, x, f"blk.{layer}.attn_norm.weight")
        q, k, v = (_heads(model, h, layer, name) for name in "qkv")
        q, k = _rotate(q, size), _rotate(k, size)
        k, v = (np.repeat(each, size.heads // size.kv_heads, axis=0) for each in (k, v))
        scores = q @ k.swapaxes(1, 2) / np.sqrt(size.head)
        scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        attended = (shares / shares.sum(axis=2, keepdims=True)) @ v
        x = x + attended.swapaxes(0, 1).reshape(len(x), -1) @ model.blocks[f"blk.{layer}.attn_output.weight"].T
        h = _norm(model, x, f"blk.{layer}.ffn_norm.weight")
        gate, up = (h @ model.blocks[f"blk.{layer}.ffn_{name}.weight"].T for name in ("gate", "up"))
        x = x + (gate / (1 + np.exp(-gate)) * up) @ model.blocks[f"blk.{layer}.ffn_down.weight"].T
    return x.astype(np.float32)


def _norm(model: Weights, x: FloatArray, name: str) -> FloatArray:
    scale = np.sqrt((x * x).mean(axis=-1, keepdims=True) + model.shape.epsilon)
    found: FloatArray = x / scale * model.blocks[name]
    return found


def _heads(model: Weights, h: FloatArray, layer: int, name: str) -> FloatArray:
    y = h @ model.blocks[f"blk.{layer}.attn_{name}.weight"].T
    bias = model.optional(f"blk.{layer}.attn_{name}.bias")
    y = y if bias is None else y + bias
    split = y.reshape(len(h), -1, model.shape.head).swapaxes(0, 1)
    norm = f"blk.{layer}.attn_{name}_norm.weight"
    return _norm(model, split, norm) if norm in model.blocks else split


def _rotate(x: FloatArray, size: Shape) -> FloatArray:
    angles = np.arange(x.shape[1])[:, None] / size.rope_base ** (np.arange(0, size.head, 2) / size.head)
    cos, sin = np.cos(angles), np.sin(angles)
    half = size.head // 2
    first, second = (x[..., ::2], x[..., 1::2]) if size.pairs else (x[..., :half], x[..., half:])
    turned = np.stack([first * cos - second * sin, second * cos + first * sin], axis=-1 if size.pairs else -2)
    return turned.reshape(x.shape).astype(np.float32)
