"""Writes and reads trained factors as a GGUF adapter. Imported in the training process only.

It has only pairs of factors: llama.cpp refuses a file with any other tensor.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, float16

from homeport.domain.errors import InvalidRequest
from homeport.formats import atomic, gguf_writer
from homeport.training.decoder import ALPHA, LoraFactors


def write(target: Path, factors: LoraFactors, architecture: str, name: str) -> None:
    """Write the file atomically."""
    values: dict[str, gguf_writer.Value] = {
        "general.type": "adapter",
        "general.architecture": architecture,
        "general.name": name,
        "adapter.type": "lora",
        "adapter.lora.alpha": ALPHA,
    }
    with atomic.replace_file(target, mode=0o666) as partial:
        gguf_writer.write(partial, values, list(_tensors(factors)))


def load_adapter(factors: LoraFactors, tensors: Iterator[tuple[str, Any]]) -> None:
    """Initialize factors with an adapter's tensors. Raises InvalidRequest if their names or shapes differ."""
    adapter_tensors = {name: torch.from_numpy(rows) for name, rows in tensors}
    targets = {f"{name}.lora_a": factor for name, factor in factors.down.items()}
    targets |= {f"{name}.lora_b": factor for name, factor in factors.up.items()}
    if {name: tensor.shape for name, tensor in adapter_tensors.items()} != {
        name: factor.shape for name, factor in targets.items()
    }:
        raise InvalidRequest(
            "This fine-tuned model cannot be trained further: its adapter has other tensors.", param="model"
        )
    with torch.no_grad():
        for name, factor in targets.items():
            factor.copy_(adapter_tensors[name])


def _tensors(factors: LoraFactors) -> Iterator[gguf_writer.Tensor]:
    for name in factors.down:
        for suffix, factor in (("lora_a", factors.down[name]), ("lora_b", factors.up[name])):
            rows, columns = factor.shape
            yield gguf_writer.Tensor(f"{name}.{suffix}", gguf_writer.F16, (columns, rows), _bytes(factor))


def _bytes(factor: Tensor) -> bytes:
    data: bytes = factor.detach().to("cpu", float16).contiguous().numpy().tobytes()
    return data
