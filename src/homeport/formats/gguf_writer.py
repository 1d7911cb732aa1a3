"""Writes GGUF files, the same bytes for the same input, with only the standard library.

Knows the layout, but not what an architecture needs in it: conversions and training do. Layout:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

F32, F16, Q4_0, Q8_0 = 0, 1, 2, 8
"""ggml's numbers of the tensor types that conversions write."""

Value = bool | int | float | str | bytes | Sequence[bytes] | Sequence[float]

_VERSION, _ALIGNMENT = 3, 32
_UINT8, _UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 0, 4, 5, 6, 7, 8, 9


class Tensor(msgspec.Struct, frozen=True):
    """A tensor of the file. `shape`: the length of a row first. `data`: the rows, one after another."""

    name: str
    type: int
    shape: tuple[int, ...]
    data: bytes | memoryview


class Int32Array(msgspec.Struct, frozen=True):
    """A list of 32-bit integers; plain lists of numbers are written as floats."""

    values: Sequence[int]


def write(target: Path, values: Mapping[str, Value | Int32Array], tensors: Sequence[Tensor]) -> None:
    """Write a file. Numbers become uint32 or float32, `bytes` a list of uint8, lists of bytes become lists of texts."""
    infos, offset = [], 0
    for tensor in tensors:
        extents = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        infos.append(_text(tensor.name.encode()) + extents + struct.pack("<IQ", tensor.type, offset))
        offset += _pad(len(tensor.data))
    head = b"".join(
        (
            struct.pack("<4sIQQ", b"GGUF", _VERSION, len(tensors), len(values)),
            *(_text(key.encode()) + _value(value) for key, value in values.items()),
            *infos,
        )
    )
    with target.open("wb") as file:
        file.write(head.ljust(_pad(len(head)), b"\0"))
        for tensor in tensors:
            file.write(tensor.data)
            file.write(bytes(_pad(len(tensor.data)) - len(tensor.data)))


def _pad(size: int) -> int:
    return size + -size % _ALIGNMENT


def _text(raw: bytes) -> bytes:
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Value | Int32Array) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", _BOOL, value)
        case int():
            return struct.pack("<II", _UINT32, value)
        case float():
            return struct.pack("<If", _FLOAT32, value)
        case str():
            return struct.pack("<I", _STRING) + _text(value.encode())
        case bytes():
            return struct.pack("<IIQ", _ARRAY, _UINT8, len(value)) + value
        case Int32Array():
            return struct.pack("<IIQ", _ARRAY, _INT32, len(value.values)) + struct.pack(
                f"<{len(value.values)}i", *value.values
            )
    return _list(value)


def _list(values: Sequence[bytes] | Sequence[float]) -> bytes:
    texts = [value for value in values if isinstance(value, bytes)]
    if texts:
        return struct.pack("<IIQ", _ARRAY, _STRING, len(texts)) + b"".join(map(_text, texts))
    numbers = [value for value in values if isinstance(value, float)]
    return struct.pack(f"<IIQ{len(numbers)}f", _ARRAY, _FLOAT32, len(numbers), *array("f", numbers))
