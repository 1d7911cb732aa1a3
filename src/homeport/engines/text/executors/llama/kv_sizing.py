"""How many cells (tokens of KV) a context gets: as configured, otherwise as the available memory allows.

Knows nothing of the C API; it reads a model's metadata and the machine's memory, and receives that of GPUs.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
import psutil

from homeport.domain.errors import Unavailable

# Of the memory that is free at load, the machine's or a GPU's. The rest is for weights not yet in memory, batches and
# other models.
_SHARE = 0.25
_EXPECTED_TOKENS = 1024  # of a sequence; used only to size streams and the unified cache
_MIN_STREAM_TOKENS = 512  # with shorter streams, most conversations would need the unified cache
_MIN_CELLS = 256
FLOAT16_BYTES = 2

STATE = "llama.cpp sequence 1, float16 keys, float16 values"
"""The format of a saved sequence. llama.cpp itself checks layers, types and sizes when it reads one."""


Kv = Literal["auto", "unified", "streams"]


class KVBudget(msgspec.Struct, frozen=True):
    """Tokens one sequence may hold, all may hold together, and a KV stream may hold (0: no streams)."""

    window: int
    cells: int
    stream_tokens: int

    def __str__(self) -> str:
        if not self.stream_tokens:
            return f"unified, {self.cells} cells for all sequences (as configured, or too little memory for streams)"
        longer = f", and {self.cells} cells for longer sequences" if self.stream_tokens < self.window else ""
        return f"a stream of {self.stream_tokens} cells for each sequence{longer}"


class AttentionShape(msgspec.Struct, frozen=True):
    """The sizes of a model's attention from the C API, for models whose metadata lacks them."""

    layers: int
    width: int
    heads: int
    kv_heads: int


def cell_bytes(metadata: Mapping[str, str], shape: AttentionShape) -> int:
    """Return the bytes of one token's KV (float16 keys and values, all layers)."""
    family = metadata.get("general.architecture", "")
    head = shape.width // max(shape.heads, 1)
    key = _number(metadata.get(f"{family}.attention.key_length"), head)
    value = _number(metadata.get(f"{family}.attention.value_length"), head)
    return shape.layers * shape.kv_heads * (key + value) * FLOAT16_BYTES


def available_bytes(device_bytes: int, share: float) -> int:
    """Return how large a KV cache could be that has `share` of its layers on GPUs with `device_bytes` free.

    The other layers are in the machine's memory.
    """
    limits = [device_bytes / share] if share > 0 else []
    if share < 1:
        limits.append(psutil.virtual_memory().available / (1 - share))
    return int(min(limits))


def plan_kv(
    *,
    trained: int,
    window: int | None,
    cells: int | None,
    sequences: int,
    kv: Kv,
    per_cell: int,
    available: int | None = None,
) -> KVBudget:
    """Choose window, cells and streams. `trained`: the model's own window, the default unless memory is too small.

    `unified`: one cache that holds at least a window. `streams`: a stream of the window's length for each sequence.
    `auto`: short streams and a unified cache of at least a window, as far as memory allows. `cells`: tokens of all
    sequences. `available`: free bytes; None: the machine's. Raises Unavailable if the options contradict each other.
    """
    wanted = window or trained
    if wanted > trained:
        raise Unavailable(f"A window of {wanted} tokens is configured, but this model was trained for {trained}.")
    if available is None:
        available = available_bytes(0, 0.0)
    affordable = cells or int(available * _SHARE / max(per_cell, 1))
    if kv == "streams" or (kv == "auto" and wanted <= min(_EXPECTED_TOKENS, affordable // sequences)):
        return _streams(wanted, affordable, sequences, fixed=cells is not None)
    stream = min(_EXPECTED_TOKENS, (affordable - wanted) // sequences) if kv == "auto" else 0
    if stream < _MIN_STREAM_TOKENS:
        stream = 0
    expected = max(wanted, sequences * _EXPECTED_TOKENS)
    unified = cells or max(min(expected, affordable), _MIN_CELLS)
    if stream:
        unified = min(expected, affordable - stream * sequences)
    return KVBudget(min(wanted, unified), unified, stream)


def _streams(wanted: int, affordable: int, sequences: int, *, fixed: bool) -> KVBudget:
    stream = affordable // sequences if fixed else min(wanted, max(affordable // sequences, _MIN_CELLS))
    if stream < 1:
        raise Unavailable(f"{affordable} cells cannot be divided among {sequences} sequences.")
    return KVBudget(min(wanted, stream), stream * sequences, stream)


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() else default
