"""Reads the tensors of a PyTorch checkpoint of the format before version 1.6, without PyTorch and without running it.

The file is a sequence of pickles (signature, version, machine, tensors, keys of storages) and the storages themselves,
in the order of their keys. Only dictionaries and tensors of 32-bit floats are rebuilt; any other global name is an
error, and tensors of other types are left out. Knows nothing of models. Source: `_legacy_save` in PyTorch's
torch/serialization.py.
"""

import io
import pickle
import struct
import sys
from array import array
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

Floats: TypeAlias = "array[float]"
"""32-bit floats, an array of type code `f`."""

_SIGNATURE, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_FLOATS = "FloatStorage"
_FLOAT_BYTES, _LONG_BYTES = 4, 8
_SIZES = {_FLOATS: _FLOAT_BYTES, "LongStorage": _LONG_BYTES}


class CheckpointTensor(msgspec.Struct, frozen=True):
    """A tensor: the length of each dimension, and its numbers, row by row."""

    shape: tuple[int, ...]
    values: Floats


class _Storage(msgspec.Struct, frozen=True):
    kind: str
    key: str
    size: int


class _Reference(msgspec.Struct, frozen=True):
    """A tensor before its storage is read. `strides`: for each dimension, from one of its numbers to the next."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def values(self, content: Floats) -> Floats:
        """Return the tensor's numbers, row by row. Raises ValueError if they are not all in the storage."""
        spans = [(extent, stride) for extent, stride in zip(self.shape, self.strides, strict=True) if extent != 1]
        last = self.offset + sum((extent - 1) * stride for extent, stride in spans)
        if min((self.offset, *self.shape, *self.strides)) < 0 or last >= len(content):
            raise ValueError("a tensor is larger than its storage")
        length, step = spans.pop() if spans else (1, 1)
        starts = [self.offset]
        for extent, stride in spans:
            starts = [start + at * stride for start in starts for at in range(extent)]
        values = array("f")
        for start in starts:
            values += content[start : start + (length - 1) * step + 1 : step]
        return values


def read(data: bytes) -> Mapping[str, CheckpointTensor]:
    """Return the tensors of 32-bit floats by name. Raises ValueError if the data are not such a checkpoint."""
    file = io.BytesIO(data)
    try:
        if _RestrictedUnpickler(file).load() != _SIGNATURE or _RestrictedUnpickler(file).load() != _VERSION:
            raise ValueError("it has another signature")
        _RestrictedUnpickler(file).load()  # the machine's byte order and sizes: all are little-endian
        references = _RestrictedUnpickler(file).load()
        keys = _RestrictedUnpickler(file).load()
        if not isinstance(references, dict) or not all(isinstance(each, _Reference) for each in references.values()):
            raise ValueError("it is not a dictionary of tensors")
        storages = {each.storage.key: each.storage for each in references.values()}
        contents = {key: _content(file, storages[key]) for key in keys}
        return {
            name: CheckpointTensor(each.shape, each.values(contents[each.storage.key]))
            for name, each in references.items()
            if each.storage.kind == _FLOATS
        }
    except (pickle.UnpicklingError, KeyError, TypeError, AttributeError, EOFError, struct.error) as error:
        raise ValueError(f"it cannot be read ({error})") from error


def _content(file: io.BytesIO, storage: _Storage) -> Floats:
    (size,) = struct.unpack("<q", file.read(8))
    raw = file.read(storage.size * _SIZES[storage.kind])
    if size != storage.size or len(raw) != storage.size * _SIZES[storage.kind]:
        raise ValueError(f"storage {storage.key} has another size")
    values = array("f")
    if storage.kind == _FLOATS:
        values.frombytes(raw)
        if sys.byteorder == "big":
            values.byteswap()
    return values


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _Reference:
    return _Reference(storage, offset, shape, strides)


_GLOBALS: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    **{("torch", kind): kind for kind in _SIZES},
}


class _RestrictedUnpickler(pickle.Unpickler):
    """Builds dictionaries, numbers, texts and tensors; nothing else is looked up, so nothing else can run."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        """Return what stands for a global name. Raises UnpicklingError for any that a checkpoint does not need."""
        try:
            found: Callable[..., object] = _GLOBALS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed") from None
        return found

    def persistent_load(self, reference: Any) -> _Storage:
        """Return the storage that a tensor names."""
        kind, storage, key, _, size, view = reference
        if kind != "storage" or view is not None or storage not in _SIZES:
            raise pickle.UnpicklingError("a storage is not supported")
        return _Storage(storage, key, size)
