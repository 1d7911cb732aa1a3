"""Embedding models of a few kilobytes with random weights, written as GGUF, and the same computation in numpy."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homeport.formats.gguf_writer import (
    F32,
    Int32Array,
    Tensor,
    Value,
    write,
)

WIDTH, HEADS, INNER, LAYERS = 64, 2, 128, 2
MEAN, CLS, LAST, RANK = 1, 2, 3, 4
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS, "▁cat", "▁dog", "▁the"]
EPSILON = 1e-5
_Q8_0 = 8

Floats = NDArray[np.float32]
Weights = dict[str, Floats]


def tokens(*words: str) -> list[int]:
    """Return the ids of whole words, with the special tokens around a text."""
    return [0, *(PIECES.index(f"▁{word}") for word in words), 2]


def tokeniser(name: str) -> dict[str, Value | Int32Array]:
    """Return the metadata of a tokeniser of these pieces."""
    return {
        "general.name": name,
        "general.license": "mit",
        "tokenizer.ggml.model": "t5",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": [piece.encode() for piece in PIECES],
        "tokenizer.ggml.scores": [
            -float(len(PIECES) - at) / 10 - (2 if len(p) == 1 else 0) for at, p in enumerate(PIECES)
        ],
        "tokenizer.ggml.token_type": Int32Array([3, 3, 3, 2, *[1] * (len(PIECES) - 4)]),
        "tokenizer.ggml.token_type_count": 1,
        "tokenizer.ggml.add_space_prefix": True,
        "tokenizer.ggml.remove_extra_whitespaces": True,
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.padding_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 3,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_eos_token": True,
    }


def _sizes(architecture: str, window: int, pooling: int | None) -> dict[str, Value | Int32Array]:
    sizes: dict[str, Value | Int32Array] = {
        "general.architecture": architecture,
        "general.type": "model",
        f"{architecture}.context_length": window,
        f"{architecture}.embedding_length": WIDTH,
        f"{architecture}.feed_forward_length": INNER,
        f"{architecture}.block_count": LAYERS,
        f"{architecture}.attention.head_count": HEADS,
    }
    return sizes if pooling is None else {**sizes, f"{architecture}.pooling_type": pooling}


def bert(path: Path, *, pooling: int | None = MEAN, window: int = 128, name: str = "tiny") -> Weights:
    """Write a BERT; return its weights by name. Matrices are (out, in)."""
    rng = np.random.default_rng(7)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(PIECES), WIDTH),
        "position_embd.weight": (window, WIDTH),
        "token_types.weight": (1, WIDTH),
        "token_embd_norm.weight": (WIDTH,),
        "token_embd_norm.bias": (WIDTH,),
    }
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        square = [(part, WIDTH, WIDTH) for part in ("attn_q", "attn_k", "attn_v", "attn_output")]
        for part, out, into in (*square, ("ffn_up", INNER, WIDTH), ("ffn_down", WIDTH, INNER)):
            shapes |= {f"{at}{part}.weight": (out, into), f"{at}{part}.bias": (out,)}
        for part in ("attn_output_norm", "layer_output_norm"):
            shapes |= {f"{at}{part}.weight": (WIDTH,), f"{at}{part}.bias": (WIDTH,)}
    weights = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    values = {**_sizes("bert", window, pooling), **tokeniser(name)}
    write(
        path, {**values, "bert.attention.layer_norm_epsilon": EPSILON, "bert.attention.causal": False}, _stored(weights)
    )
    return weights


def causal(path: Path, *, window: int = 2048, name: str = "tiny", is_quantized: bool = False) -> None:
    """Write a decoder that is pooled at its last token. `is_quantized`: its matrices are Q8_0."""
    rng = np.random.default_rng(8)
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (len(PIECES), WIDTH), "output_norm.weight": (WIDTH,)}
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        shapes |= {f"{at}{part}.weight": (WIDTH, WIDTH) for part in ("attn_q", "attn_k", "attn_v", "attn_output")}
        shapes |= {f"{at}{part}.weight": (WIDTH,) for part in ("attn_norm", "ffn_norm")}
        shapes |= {f"{at}ffn_gate.weight": (INNER, WIDTH), f"{at}ffn_up.weight": (INNER, WIDTH)}
        shapes |= {f"{at}ffn_down.weight": (WIDTH, INNER)}
    weights = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    values = {**_sizes("llama", window, LAST), **tokeniser(name)}
    rope = {"llama.rope.dimension_count": WIDTH // HEADS, "llama.attention.layer_norm_rms_epsilon": EPSILON}
    write(path, {**values, **rope}, [*_quantized(weights)] if is_quantized else _stored(weights))


def _stored(weights: Weights) -> list[Tensor]:
    return [Tensor(name, F32, each.shape[::-1], each.tobytes()) for name, each in weights.items()]


def _quantized(weights: Weights) -> Iterator[Tensor]:
    """Store the matrices as Q8_0: blocks of 32 values with one scale."""
    for name, each in weights.items():
        if each.ndim == 1:
            yield Tensor(name, F32, each.shape[::-1], each.tobytes())
            continue
        blocks = each.reshape(-1, 32)
        scales = (np.abs(blocks).max(axis=1, keepdims=True) / 127).astype(np.float16)
        values = np.rint(blocks / scales.astype(np.float32)).astype(np.int8)
        data = np.concatenate([scales.view(np.uint8), values.view(np.uint8)], axis=1)
        yield Tensor(name, _Q8_0, each.shape[::-1], data.tobytes())


def hidden(weights: Weights, ids: list[int]) -> Floats:
    """Return the hidden state of each token in a BERT with these weights, before pooling: (len(ids), WIDTH)."""

    def line(x: Floats, part: str) -> Floats:
        return x @ weights[f"{part}.weight"].T + weights[f"{part}.bias"]

    def norm(x: Floats, part: str) -> Floats:
        x = x - x.mean(1, keepdims=True)
        x = x / np.sqrt(x.var(1, keepdims=True) + EPSILON)
        return np.asarray(x * weights[f"{part}.weight"] + weights[f"{part}.bias"], np.float32)

    def heads(x: Floats) -> Floats:
        return x.reshape(len(ids), HEADS, WIDTH // HEADS).transpose(1, 0, 2)

    x = weights["token_embd.weight"][ids] + weights["position_embd.weight"][: len(ids)] + weights["token_types.weight"]
    x = norm(x, "token_embd_norm")
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        q, k, v = (heads(line(x, f"{at}attn_{part}")) for part in "qkv")
        scores = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(WIDTH // HEADS))
        seen = (scores / scores.sum(2, keepdims=True)) @ v
        x = norm(
            x + line(seen.transpose(1, 0, 2).reshape(len(ids), WIDTH), f"{at}attn_output"), f"{at}attn_output_norm"
        )
        up = line(x, f"{at}ffn_up")
        up = 0.5 * up * (1 + np.tanh(np.sqrt(2 / np.pi) * (up + 0.044715 * up**3)))
        x = norm(x + line(up, f"{at}ffn_down"), f"{at}layer_output_norm")
    return np.asarray(x, np.float32)
