"""Checkpoints in the format of PyTorch before 1.6, written with the standard library: for tests of their reader."""

import io
import pickle
import struct
from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any
from unittest import mock

import msgspec

SIGNATURE, VERSION = 0x1950A86A20F9469CFC6C, 1001


class Stored(msgspec.Struct, frozen=True):
    """A tensor: its shape, the numbers of its storage, and how they are read."""

    shape: tuple[int, ...]
    numbers: Sequence[float]
    strides: tuple[int, ...] | None = None
    offset: int = 0
    kind: str = "FloatStorage"


def write(tensors: Mapping[str, Stored], *, signature: int = SIGNATURE) -> bytes:
    """Return the bytes of a checkpoint."""
    file = io.BytesIO()
    for header in (signature, VERSION, {"little_endian": True}):
        pickle.dump(header, file, protocol=2)
    torch, utilities = ModuleType("torch"), ModuleType("torch._utils")
    kinds = {kind: type(kind, (), {"__module__": "torch"}) for kind in ("FloatStorage", "LongStorage", "HalfStorage")}
    vars(torch).update(kinds)
    rebuild = _function("_rebuild_tensor_v2", "torch._utils")
    vars(utilities)["_rebuild_tensor_v2"] = rebuild
    content = OrderedDict(
        (name, _Tensor(str(at), each, rebuild, kinds)) for at, (name, each) in enumerate(tensors.items())
    )
    with mock.patch.dict("sys.modules", {"torch": torch, "torch._utils": utilities}):
        _Pickler(file, protocol=2).dump(content)
        pickle.dump([str(at) for at in range(len(tensors))], file, protocol=2)
    for each in tensors.values():
        code = "q" if each.kind == "LongStorage" else "f"
        numbers = array(code, map(int, each.numbers)) if code == "q" else array(code, each.numbers)
        file.write(struct.pack("<q", len(numbers)) + numbers.tobytes())
    return file.getvalue()


def rows(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a tensor that is stored row by row."""
    strides, size = [], 1
    for extent in reversed(shape):
        strides.append(size)
        size *= extent
    return tuple(reversed(strides))


class _Storage:
    def __init__(self, kind: type, key: str, size: int) -> None:
        self.reference = ("storage", kind, key, "cpu", size, None)


class _Tensor:
    def __init__(self, key: str, stored: Stored, rebuild: Any, kinds: Mapping[str, type]) -> None:
        self._stored, self._rebuild = stored, rebuild
        self._storage = _Storage(kinds[stored.kind], key, len(stored.numbers))

    def __reduce__(self) -> tuple[Any, ...]:
        stored = self._stored
        strides = rows(stored.shape) if stored.strides is None else stored.strides
        return self._rebuild, (self._storage, stored.offset, stored.shape, strides, False, OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: object) -> object:
        return value.reference if isinstance(value, _Storage) else None


def _function(name: str, module: str) -> Any:
    def stand_in(*_: object) -> None:
        raise AssertionError("a checkpoint is not rebuilt while it is written")

    stand_in.__name__ = stand_in.__qualname__ = name
    stand_in.__module__ = module
    return stand_in
