"""Writes what was learnt as a GGUF adapter. Imported in the process that trains only.

Only pairs of factors stand in it: any other tensor makes llama.cpp refuse the file.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor, float16

from homeport import gguf
from homeport.tuning.decoder import ALPHA, Factors


def write(target: Path, factors: Factors, architecture: str, name: str) -> None:
    """Write the file, so that a reader sees it whole or not at all."""
    values = {
        "general.type": "adapter",
        "general.architecture": architecture,
        "general.name": name,
        "adapter.type": "lora",
        "adapter.lora.alpha": ALPHA,
    }
    part = target.with_name(f"{target.name}.part")
    gguf.write(part, values, list(_tensors(factors)))
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)


def _tensors(factors: Factors) -> Iterator[gguf.Tensor]:
    for name in factors.down:
        for suffix, factor in (("lora_a", factors.down[name]), ("lora_b", factors.up[name])):
            rows, columns = factor.shape
            yield gguf.Tensor(f"{name}.{suffix}", gguf.F16, (columns, rows), _bytes(factor))


def _bytes(factor: Tensor) -> bytes:
    data: bytes = factor.detach().to("cpu", float16).contiguous().numpy().tobytes()
    return data
