"""Writes a graph as an ONNX model, so that no package is needed for it: the few messages of its protobuf format in use.

Knows nothing of what a graph computes. Source: onnx/onnx.proto (version 3); field numbers are those of that file.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from homeport.formats.onnx_writer import encode_number

Attribute = int | float
Size = Sequence[int | str]
"""Extents; a name for one that varies."""

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""

_IR_VERSION, _OPERATORS, _MICROSOFT_OPERATORS = 10, 21, 1
_TYPES = {np.dtype(np.float32): 1, np.dtype(np.uint8): 2, np.dtype(np.int32): 6, np.dtype(np.int64): 7}
_FLOAT, _INT = 1, 2  # types of attributes
_VARINT, _BYTES, _FIXED_32 = 0, 2, 5  # wire types


class OnnxFile:
    """Collects nodes, tensors, inputs and outputs. Names connect them."""

    def __init__(self) -> None:
        self._graph = [_text(2, "graph")]
        self._count = 0

    def node(
        self, operator: str, inputs: Sequence[str], *, outputs: int = 1, domain: str = "", **attributes: Attribute
    ) -> str:
        """Add a node; return the name of its first output, to which `:1`, `:2`, … is added for the others."""
        self._count += 1
        name = f"n{self._count}"
        names = [name, *(f"{name}:{index}" for index in range(1, outputs))]
        fields = [*(_text(1, each) for each in inputs), *(_text(2, each) for each in names)]
        fields += [_text(4, operator), *(_attribute(key, value) for key, value in attributes.items()), _text(7, domain)]
        self._graph.append(_message(1, fields))
        return name

    def tensor(self, values: NDArray[np.generic]) -> str:
        """Add a constant; return its name."""
        self._count += 1
        name = f"t{self._count}"
        fields = [*(_number(1, extent) for extent in values.shape), _number(2, _TYPES[values.dtype]), _text(8, name)]
        self._graph.append(_message(5, [*fields, _bytes(9, np.ascontiguousarray(values).tobytes())]))
        return name

    def input(self, name: str, kind: type[np.generic], size: Size) -> str:
        """Declare an input; return its name."""
        self._graph.append(_message(11, _value(name, kind, size)))
        return name

    def output(self, name: str, source: str, kind: type[np.generic], size: Size) -> None:
        """Declare an output under a name of its own."""
        self._graph.append(_message(1, [_text(1, source), _text(2, name), _text(4, "Identity")]))
        self._graph.append(_message(12, _value(name, kind, size)))

    def content(self) -> bytes:
        """Return the model. It must be smaller than 2 GB."""
        domains = {"": _OPERATORS, MICROSOFT: _MICROSOFT_OPERATORS}
        versions = [_message(8, [_text(1, name), _number(2, version)]) for name, version in domains.items()]
        return b"".join([_number(1, _IR_VERSION), _message(7, self._graph), *versions])


def _value(name: str, kind: type[np.generic], size: Size) -> list[bytes]:
    extents = [_message(1, [_text(2, each) if isinstance(each, str) else _number(1, each)]) for each in size]
    tensor = [_number(1, _TYPES[np.dtype(kind)]), _message(2, extents)]
    return [_text(1, name), _message(2, [_message(1, tensor)])]


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, int):
        return _message(5, [_text(1, name), _number(3, value), _number(20, _INT)])
    packed = _tag(2, _FIXED_32) + np.float32(value).tobytes()
    return _message(5, [_text(1, name), packed, _number(20, _FLOAT)])


def _tag(field: int, wire: int) -> bytes:
    return encode_number(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _tag(field, _VARINT) + encode_number(value & (1 << 64) - 1)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _message(field: int, parts: Sequence[bytes]) -> bytes:
    return _bytes(field, b"".join(parts))


def _bytes(field: int, value: bytes) -> bytes:
    return _tag(field, _BYTES) + encode_number(len(value)) + value
