"""Meshes and clouds of points as files: PLY, GLB and JSON. Knows nothing of models, or of how shapes are computed."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.shapes import ShapeFormat
from homeport.engines.shapes.meshes import Colors, Mesh
from homeport.formats import glb_writer, ply_writer

_GENERATOR = "homeport"
_DECIMALS = 5
_VERTEX = np.dtype([("position", "<f4", 3), ("color", "u1", 3)])
_TRIANGLE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])


def encode(mesh: Mesh, format: ShapeFormat) -> bytes:
    """Return a file. Raises ValueError for a mesh as JSON, which holds only points."""
    if format is ShapeFormat.PLY:
        return _ply(mesh)
    if format is ShapeFormat.GLB:
        return _glb(mesh)
    if len(mesh.triangles):
        raise ValueError("JSON holds points, not a mesh")
    return _json(mesh)


def _ply(mesh: Mesh) -> bytes:
    vertices = np.zeros(len(mesh.vertices), _VERTEX)
    vertices["position"], vertices["color"] = mesh.vertices, mesh.colors
    triangles = np.zeros(len(mesh.triangles), _TRIANGLE)
    triangles["count"], triangles["corners"] = 3, mesh.triangles
    return ply_writer.write(vertices.tobytes(), triangles.tobytes())


def _glb(mesh: Mesh) -> bytes:
    is_mesh = len(mesh.triangles) > 0
    primitive = glb_writer.Primitive(
        positions=mesh.vertices.astype("<f4").tobytes(),
        low=tuple(mesh.vertices.min(axis=0).tolist()),
        high=tuple(mesh.vertices.max(axis=0).tolist()),
        colors=_linear(mesh.colors).tobytes(),
        normals=mesh.normals.astype("<f4").tobytes() if is_mesh else b"",
        indices=mesh.triangles.astype("<u4").tobytes(),
    )
    return glb_writer.write(primitive, _GENERATOR)


def _json(mesh: Mesh) -> bytes:
    rounded = np.round(mesh.vertices.astype(np.float64), _DECIMALS).tolist()
    points = [[*place, *color] for place, color in zip(rounded, mesh.colors.tolist(), strict=True)]
    return msgspec.json.encode({"points": points})


def _linear(colors: Colors) -> NDArray[np.uint16]:
    """Return sRGB colors as glTF has those of vertices: linear (IEC 61966-2-1), with alpha, 65535 as 1."""
    values = np.arange(256) / 255
    curve = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    table = np.round(curve * 65535).astype("<u2")
    return np.concatenate((table[colors], np.full((len(colors), 1), 65535, "<u2")), axis=1)
