"""GLB files: their layout, and read back by trimesh."""

import io
import json
import struct
from typing import Any

import pytest
import trimesh

from homeport.formats import glb_writer
from homeport.formats.glb_writer import Primitive

PLACES = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
CORNERS = [(0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2)]
POSITIONS = b"".join(struct.pack("<3f", *place) for place in PLACES)
COLORS = struct.pack("<4H", 65535, 0, 1000, 65535) * 4
INDICES = b"".join(struct.pack("<3I", *corners) for corners in CORNERS)
CLOUD = Primitive(POSITIONS, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), COLORS)
MESH = Primitive(POSITIONS, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), COLORS, POSITIONS, INDICES)


@pytest.mark.parametrize(("primitive", "mode"), [(CLOUD, 0), (MESH, 4)])
def test_the_layout_is_that_of_the_specification(primitive: Primitive, mode: int) -> None:
    """Magic, version, length, and two chunks whose lengths are multiples of four; views fill the buffer in order."""
    data = glb_writer.write(primitive, "test")
    magic, version, size, n_json, kind = struct.unpack("<4sIII4s", data[:20])
    assert (magic, version, size, kind) == (b"glTF", 2, len(data), b"JSON")
    document = json.loads(data[20 : 20 + n_json])
    n_arrays, kind = struct.unpack("<I4s", data[20 + n_json : 28 + n_json])
    assert (kind, n_json % 4, n_arrays % 4) == (b"BIN\0", 0, 0)
    assert n_arrays == len(data) - 28 - n_json
    ends = [view["byteOffset"] + view["byteLength"] for view in document["bufferViews"]]
    assert [view["byteOffset"] for view in document["bufferViews"]] == [0, *ends[:-1]]
    assert document["buffers"] == [{"byteLength": ends[-1]}]
    assert document["meshes"][0]["primitives"][0]["mode"] == mode
    assert document["asset"] == {"version": "2.0", "generator": "test"}


def test_a_mesh_is_read_back() -> None:
    """Vertices, triangles and colors are those that were written."""
    (mesh,) = trimesh.load_scene(io.BytesIO(glb_writer.write(MESH, "test")), file_type="glb").geometry.values()
    assert isinstance(mesh, trimesh.Trimesh)
    assert mesh.volume == pytest.approx(1 / 6)
    visual: Any = mesh.visual
    assert visual.vertex_attributes["color"][0].tolist() == [65535, 0, 1000, 65535]


def test_points_are_read_back() -> None:
    """Without indices the file is a cloud of points."""
    (cloud,) = trimesh.load_scene(io.BytesIO(glb_writer.write(CLOUD, "test")), file_type="glb").geometry.values()
    assert isinstance(cloud, trimesh.PointCloud)
    assert cloud.vertices.tolist() == [list(place) for place in PLACES]
