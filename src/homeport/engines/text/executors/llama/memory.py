"""How many cells (tokens of KV) a context gets: what was asked for, else what the memory at hand allows.

Knows nothing of the C API; it reads a model's metadata and the machine's memory.
"""

from collections.abc import Mapping

import msgspec
import psutil

from homeport.domain.errors import Unavailable

_SHARE = 0.25  # of the memory free at load; the rest is for weights not yet touched, batches and other models
_USUAL = 1024  # tokens a sequence is expected to hold at a time; only the sizing of a shared cache rests on it
_FLOAT16 = 2


class Room(msgspec.Struct, frozen=True):
    """Tokens one sequence may hold, and tokens all may hold together."""

    window: int
    cells: int


class Shape(msgspec.Struct, frozen=True):
    """The sizes of a model's attention that its C API gives; they stand in where the metadata is silent."""

    layers: int
    width: int
    heads: int
    kv_heads: int


def cell_bytes(metadata: Mapping[str, str], shape: Shape) -> int:
    """Bytes of KV one token takes (float16 keys and values, all layers)."""
    family = metadata.get("general.architecture", "")
    head = shape.width // max(shape.heads, 1)
    key = _number(metadata.get(f"{family}.attention.key_length"), head)
    value = _number(metadata.get(f"{family}.attention.value_length"), head)
    return shape.layers * shape.kv_heads * (key + value) * _FLOAT16


def room(*, trained: int, window: int | None, cells: int | None, sequences: int, unified: bool, per_cell: int) -> Room:
    """Settle window and cells. `trained` is the model's own window, the default, lowered only by memory.

    One unified cache holds at least a window; without `unified` every sequence gets a stream of window cells.
    Raises Unavailable when what was asked for contradicts itself.
    """
    wanted = window or trained
    if wanted > trained:
        raise Unavailable(f"A window of {wanted} tokens was asked for; this model was trained for {trained}.")
    if cells is None:
        affordable = int(psutil.virtual_memory().available * _SHARE / max(per_cell, 1))
        usual = max(wanted, sequences * _USUAL) if unified else wanted * sequences
        cells = max(min(usual, affordable), 256 if unified else 256 * sequences)
    most = cells if unified else cells // sequences
    if most < 1:
        raise Unavailable(f"{cells} cells cannot be divided among {sequences} sequences.")
    return Room(min(wanted, most), cells)


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() else default
