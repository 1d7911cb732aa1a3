"""Writes GLB files (binary glTF 2.0) with one mesh, or one cloud of points, and colors of vertices.

Knows the layout of the file, not what its arrays are computed from. Layout:
https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

import struct

import msgspec

_MAGIC, _VERSION = 0x46546C67, 2
_JSON, _BIN = 0x4E4F534A, 0x004E4942
_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_ARRAY_BUFFER, _ELEMENT_BUFFER = 34962, 34963
_POINTS, _TRIANGLES = 0, 4


class Primitive(msgspec.Struct, frozen=True):
    """What a file shows, as little-endian arrays.

    `positions`: three 32-bit floats for each vertex; `low` and `high`: the corners of their bounding box. `colors`:
    four 16-bit numbers for each, linear red, green, blue and alpha, where 65535 is 1. `indices`: three 32-bit numbers
    for each triangle; empty for a cloud of points. `normals`: three 32-bit floats for each vertex; empty for a cloud.
    """

    positions: bytes
    low: tuple[float, ...]
    high: tuple[float, ...]
    colors: bytes
    normals: bytes = b""
    indices: bytes = b""


def write(primitive: Primitive, generator: str) -> bytes:
    """Return a file. `generator`: the program that it names."""
    count = len(primitive.positions) // 12
    accessors: list[dict[str, object]] = [
        {
            "bufferView": 0,
            "componentType": _FLOAT,
            "count": count,
            "type": "VEC3",
            "min": list(primitive.low),
            "max": list(primitive.high),
        },
        {"bufferView": 1, "componentType": _UINT16, "normalized": True, "count": count, "type": "VEC4"},
    ]
    arrays = [(primitive.positions, _ARRAY_BUFFER), (primitive.colors, _ARRAY_BUFFER)]
    shown: dict[str, object] = {"attributes": {"POSITION": 0, "COLOR_0": 1}, "mode": _POINTS, "material": 0}
    if primitive.indices:
        accessors += [
            {"bufferView": 2, "componentType": _FLOAT, "count": count, "type": "VEC3"},
            {"bufferView": 3, "componentType": _UINT32, "count": len(primitive.indices) // 4, "type": "SCALAR"},
        ]
        arrays += [(primitive.normals, _ARRAY_BUFFER), (primitive.indices, _ELEMENT_BUFFER)]
        shown["attributes"] = {"POSITION": 0, "COLOR_0": 1, "NORMAL": 2}
        shown |= {"mode": _TRIANGLES, "indices": 3}
    views, offset = [], 0
    for array, target in arrays:
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": len(array), "target": target})
        offset += len(array)
    document = {
        "asset": {"version": "2.0", "generator": generator},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [shown]}],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0}, "doubleSided": True}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": offset}],
    }
    return _container(msgspec.json.encode(document), b"".join(array for array, _ in arrays))


def _container(document: bytes, arrays: bytes) -> bytes:
    """Return the chunks of a file, each padded to a multiple of four bytes."""
    document += b" " * (-len(document) % 4)
    arrays += b"\0" * (-len(arrays) % 4)
    chunks = (
        struct.pack("<II", len(document), _JSON) + document,
        struct.pack("<II", len(arrays), _BIN) + arrays,
    )
    size = 12 + sum(len(chunk) for chunk in chunks)
    return struct.pack("<III", _MAGIC, _VERSION, size) + b"".join(chunks)
