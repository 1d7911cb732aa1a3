"""Writes ONNX files, the same bytes for the same input, with only the standard library.

Knows the layout of the messages, but not what operators need in them: conversions do. Layout:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

Floats: TypeAlias = "array[float]"
"""32-bit floats, an array of type code `f`."""
Attribute = int | float | Sequence[int]
TensorShape = Sequence[int | str]
"""The length of each dimension; a name for one that varies."""

_IR_VERSION, _OPERATORS = 8, 13
_FLOAT, _INT, _INTS = 1, 2, 7  # kinds of attributes
_FLOAT32 = 1
_VARINT, _BYTES, _FIXED32 = 0, 2, 5  # how a field of a message is written


class OnnxNode(msgspec.Struct, frozen=True):
    """One operation: its operator, the names of what it reads and writes, and its attributes."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = {}


class Initializer(msgspec.Struct, frozen=True):
    """A constant of 32-bit floats, row by row; without a shape, one number."""

    name: str
    shape: tuple[int, ...]
    values: Floats


class Graph(msgspec.Struct, frozen=True):
    """A network of 32-bit floats. `inputs` and `outputs`: shapes by name. `nodes`: each after those that it reads."""

    name: str
    nodes: Sequence[OnnxNode]
    initializers: Sequence[Initializer]
    inputs: Mapping[str, TensorShape]
    outputs: Mapping[str, TensorShape]


def write(target: Path, graph: Graph) -> None:
    """Write a model of one graph with the operators of opset 13. Values are written little-endian."""
    body = b"".join(
        (
            *(_message(1, _node(node)) for node in graph.nodes),
            _text(2, graph.name),
            *(_message(5, _tensor(each)) for each in graph.initializers),
            *(_message(11, _value(name, shape)) for name, shape in graph.inputs.items()),
            *(_message(12, _value(name, shape)) for name, shape in graph.outputs.items()),
        )
    )
    opset = _text(1, "") + _number(2, _OPERATORS)
    target.write_bytes(_number(1, _IR_VERSION) + _text(2, "homeport") + _message(7, body) + _message(8, opset))


def _node(node: OnnxNode) -> bytes:
    return b"".join(
        (
            *(_text(1, name) for name in node.inputs),
            *(_text(2, name) for name in node.outputs),
            _text(3, node.outputs[0]),
            _text(4, node.operator),
            *(_message(5, _attribute(name, value)) for name, value in node.attributes.items()),
        )
    )


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, _INT)
    if isinstance(value, float):
        return _text(1, name) + _tag(2, _FIXED32) + struct.pack("<f", value) + _number(20, _FLOAT)
    return _text(1, name) + b"".join(_number(8, each) for each in value) + _number(20, _INTS)


def _tensor(tensor: Initializer) -> bytes:
    head = b"".join(_number(1, extent) for extent in tensor.shape) + _number(2, _FLOAT32) + _text(8, tensor.name)
    return head + _message(9, _little_endian(tensor.values).tobytes())


def _value(name: str, shape: TensorShape) -> bytes:
    extents = b"".join(
        _message(1, _text(2, extent) if isinstance(extent, str) else _number(1, extent)) for extent in shape
    )
    return _text(1, name) + _message(2, _message(1, _number(1, _FLOAT32) + _message(2, extents)))


def _little_endian(values: Floats) -> Floats:
    if sys.byteorder == "little":
        return values
    swapped = array(values.typecode, values)
    swapped.byteswap()
    return swapped


def _tag(field: int, kind: int) -> bytes:
    return encode_number(field << 3 | kind)


def _number(field: int, value: int) -> bytes:
    return _tag(field, _VARINT) + encode_number(value)


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())


def _message(field: int, body: bytes) -> bytes:
    return _tag(field, _BYTES) + encode_number(len(body)) + body


def encode_number(value: int) -> bytes:
    """Encode a number that is not negative: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*encoded, value))
