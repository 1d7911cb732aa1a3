"""LoRA adapters of some megabytes with random weights, for SmolLM2-135M, written as GGUF."""

from pathlib import Path

import numpy as np

from homeport.formats.gguf_writer import F32, Tensor, write

WIDTH, INNER, LAYERS, RANK = 576, 1536, 30, 4


def adapter(path: Path, seed: int, *, strength: float = 0.1, architecture: str = "llama") -> Path:
    """Write an adapter that changes the feed-forward gate of every block; strength 0 changes nothing."""
    random = np.random.default_rng(seed)
    tensors = []
    for layer in range(LAYERS):
        name = f"blk.{layer}.ffn_gate.weight"
        down = random.standard_normal((RANK, WIDTH), dtype=np.float32) * np.float32(0.1)
        up = random.standard_normal((INNER, RANK), dtype=np.float32) * np.float32(strength)
        tensors.append(Tensor(f"{name}.lora_a", F32, (WIDTH, RANK), down.tobytes()))
        tensors.append(Tensor(f"{name}.lora_b", F32, (RANK, INNER), up.tobytes()))
    head = {"general.type": "adapter", "general.architecture": architecture, "adapter.type": "lora"}
    write(path, {**head, "adapter.lora.alpha": float(RANK)}, tensors)
    return path
