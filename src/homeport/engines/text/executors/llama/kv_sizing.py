"""How many cells (tokens of KV) a context gets: what was asked for, else what the memory at hand allows.

Knows nothing of the C API; it reads a model's metadata and the machine's memory.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
import psutil

from homeport.domain.errors import Unavailable

_SHARE = 0.25  # of the memory free at load; the rest is for weights not yet touched, batches and other models
_USUAL = 1024  # tokens a sequence is expected to hold at a time; only the sizing of a shared cache rests on it
_MIN_STREAM_TOKENS = 512  # shorter ones would send most conversations to the pool
_MIN_CELLS = 256
_FLOAT16 = 2

STATE = "llama.cpp sequence 1, float16 keys, float16 values"
"""The form of a saved sequence. llama.cpp itself checks layers, types and sizes when it reads one."""


Kv = Literal["auto", "unified", "streams"]


class KVBudget(msgspec.Struct, frozen=True):
    """Tokens one sequence may hold, all may hold together, and one may hold in a lane of its own (0: no lanes)."""

    window: int
    cells: int
    stream_tokens: int

    def __str__(self) -> str:
        if not self.stream_tokens:
            return (
                f"one for all sequences, {self.cells} cells, as the memory does not reach for lanes or none were asked"
            )
        longer = f", and {self.cells} cells for those that grow longer" if self.stream_tokens < self.window else ""
        return f"a lane of {self.stream_tokens} cells for each sequence{longer}"


class AttentionShape(msgspec.Struct, frozen=True):
    """The sizes of a model's attention that its C API gives; they stand in where the metadata is silent."""

    layers: int
    width: int
    heads: int
    kv_heads: int


def cell_bytes(metadata: Mapping[str, str], shape: AttentionShape) -> int:
    """Bytes of KV one token takes (float16 keys and values, all layers)."""
    family = metadata.get("general.architecture", "")
    head = shape.width // max(shape.heads, 1)
    key = _number(metadata.get(f"{family}.attention.key_length"), head)
    value = _number(metadata.get(f"{family}.attention.value_length"), head)
    return shape.layers * shape.kv_heads * (key + value) * _FLOAT16


def plan_kv(*, trained: int, window: int | None, cells: int | None, sequences: int, kv: Kv, per_cell: int) -> KVBudget:
    """Settle window, cells and lanes. `trained` is the model's own window, the default, lowered only by memory.

    `unified` gives one cache that holds at least a window, `streams` a lane of a window's length to each sequence,
    `auto` short lanes and a pool of a window or more, as far as memory allows. `cells`: of all that, tokens in all.
    Raises Unavailable when what was asked for contradicts itself.
    """
    wanted = window or trained
    if wanted > trained:
        raise Unavailable(f"A window of {wanted} tokens was asked for; this model was trained for {trained}.")
    affordable = cells or int(psutil.virtual_memory().available * _SHARE / max(per_cell, 1))
    if kv == "streams" or (kv == "auto" and wanted <= min(_USUAL, affordable // sequences)):
        return _streams(wanted, affordable, sequences, fixed=cells is not None)
    lane = min(_USUAL, (affordable - wanted) // sequences) if kv == "auto" else 0
    if lane < _MIN_STREAM_TOKENS:
        lane = 0
    usual = max(wanted, sequences * _USUAL)
    pool = cells or max(min(usual, affordable), _MIN_CELLS)
    if lane:
        pool = min(usual, affordable - lane * sequences)
    return KVBudget(min(wanted, pool), pool, lane)


def _streams(wanted: int, affordable: int, sequences: int, *, fixed: bool) -> KVBudget:
    lane = affordable // sequences if fixed else min(wanted, max(affordable // sequences, _MIN_CELLS))
    if lane < 1:
        raise Unavailable(f"{affordable} cells cannot be divided among {sequences} sequences.")
    return KVBudget(min(wanted, lane), lane * sequences, lane)


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() else default
