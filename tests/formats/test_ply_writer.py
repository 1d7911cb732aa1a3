"""PLY files, read back by trimesh."""

import io
import struct
from typing import Any

import pytest
import trimesh

from homeport.formats import ply_writer

VERTICES = b"".join(struct.pack("<3f3B", *place, *place) for place in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
TRIANGLES = b"".join(struct.pack("<B3i", 3, *corners) for corners in [(0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2)])


def test_a_mesh_is_read_back() -> None:
    """Vertices, colors and triangles are those that were written."""
    mesh = trimesh.load_mesh(io.BytesIO(ply_writer.write(VERTICES, TRIANGLES)), file_type="ply")
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(1 / 6)
    assert mesh.vertices.tolist()[1] == [1, 0, 0]
    visual: Any = mesh.visual
    assert visual.vertex_colors[1].tolist() == [1, 0, 0, 255]


def test_without_triangles_it_is_a_cloud() -> None:
    """The file has no faces, not even their declaration."""
    data = ply_writer.write(VERTICES)
    assert b"element vertex 4" in data
    assert b"face" not in data
    (cloud,) = trimesh.load_scene(io.BytesIO(data), file_type="ply").geometry.values()
    assert isinstance(cloud, trimesh.PointCloud)


@pytest.mark.parametrize(("vertices", "triangles"), [(VERTICES[:-1], b""), (VERTICES, TRIANGLES[:-1])])
def test_an_incomplete_element_is_refused(vertices: bytes, triangles: bytes) -> None:
    """Arrays of a wrong length make no file."""
    with pytest.raises(ValueError, match="incomplete"):
        ply_writer.write(vertices, triangles)
