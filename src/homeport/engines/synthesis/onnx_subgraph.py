"""Cuts a part out of an ONNX model: the nodes that lead from some of its tensors to others.

So one file of weights can be run in stages, with values replaced between them, and no package for the format is
needed. Knows nothing of what a graph computes. Source: onnx/onnx.proto (version 3), whose field numbers are used.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from homeport.formats.onnx_writer import encode_number

_TYPES: dict[type[np.generic], int] = {np.float32: 1, np.int64: 7}
_GRAPH, _NODE, _TENSOR, _INPUT, _OUTPUT = 7, 1, 5, 11, 12
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5  # wire types


class _Field(NamedTuple):
    """A field of a message: its number, where it starts, where its content starts, and where both end."""

    number: int
    start: int
    content: int
    end: int


class _Node(NamedTuple):
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    encoded: bytes


class OnnxGraph:
    """The parts of one model file. Raises ValueError if its bytes are not a model."""

    def __init__(self, model: bytes) -> None:
        fields = list(_fields(model, 0, len(model)))
        graph = next((field for field in fields if field.number == _GRAPH), None)
        if graph is None:
            raise ValueError("The file has no graph.")
        self._head = b"".join(model[field.start : field.end] for field in fields if field.number != _GRAPH)
        self._nodes: list[_Node] = []
        self._tensors: dict[str, bytes] = {}
        self._inputs: dict[str, bytes] = {}
        for field in _fields(model, graph.content, graph.end):
            encoded = model[field.start : field.end]
            if field.number == _NODE:
                self._nodes.append(_Node(_texts(model, field, 1), _texts(model, field, 2), encoded))
            elif field.number == _TENSOR:
                self._tensors[_texts(model, field, 8)[0]] = encoded
            elif field.number == _INPUT:
                self._inputs[_texts(model, field, 1)[0]] = encoded
        self.names = {name for node in self._nodes for name in node.outputs} | set(self._inputs)
        """All tensors that are given or computed."""

    def part(self, inputs: Mapping[str, type[np.generic]], outputs: Collection[str]) -> bytes:
        """Return the model that computes `outputs` from `inputs`, with the types of inputs that are new."""
        needed = set(outputs)
        nodes: list[bytes] = []
        for node in reversed(self._nodes):
            if any(name in needed and name not in inputs for name in node.outputs):
                nodes.append(node.encoded)
                needed.update(node.inputs)
        parts = [*reversed(nodes), _message(2, b"part")]
        parts += [encoded for name, encoded in self._tensors.items() if name in needed]
        parts += [self._inputs.get(name) or _value(name, kind) for name, kind in inputs.items()]
        parts += [_message(_OUTPUT, _message(1, name.encode())) for name in outputs]
        return self._head + _message(_GRAPH, b"".join(parts))


def _value(name: str, kind: type[np.generic]) -> bytes:
    tensor = _message(1, bytes([1 << 3 | _VARINT, _TYPES[kind]]))
    return _message(_INPUT, _message(1, name.encode()) + _message(2, tensor))


def _texts(data: bytes, message: _Field, number: int) -> tuple[str, ...]:
    fields = _fields(data, message.content, message.end)
    return tuple(data[field.content : field.end].decode() for field in fields if field.number == number)


def _fields(data: bytes, at: int, end: int) -> Iterator[_Field]:
    while at < end:
        start = at
        tag, at = _readencode_number(data, at)
        wire = tag & 7
        content = at
        if wire == _VARINT:
            _, at = _readencode_number(data, at)
        elif wire == _BYTES:
            size, content = _readencode_number(data, at)
            at = content + size
        elif wire in (_FIXED_32, _FIXED_64):
            at += 4 if wire == _FIXED_32 else 8
        else:
            raise ValueError("The file is not an ONNX model.")
        if at > end:
            raise ValueError("The file is not a whole ONNX model.")
        yield _Field(tag >> 3, start, content, at)


def _readencode_number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("The file is not a whole ONNX model.")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _message(number: int, content: bytes) -> bytes:
    return encode_number(number << 3 | _BYTES) + encode_number(len(content)) + content
