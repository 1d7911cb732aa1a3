"""Surfaces of fields: closed, oriented, exact where the field is linear."""

import numpy as np
import pytest
import trimesh

from homeport.engines.shapes import marching_cubes
from homeport.engines.shapes.marching_cubes import SurfaceTooLarge, extract_surface


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_a_closed_surface(seed: int) -> None:
    """Every edge belongs to two triangles that are oriented alike, whatever the field, at the grid's border too."""
    field = np.random.default_rng(seed).random((9, 10, 11)).astype(np.float32)
    vertices, triangles = extract_surface(field, 0.5)
    mesh = trimesh.Trimesh(vertices, triangles, process=False)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert len(np.unique(vertices, axis=0)) == len(vertices)
    assert set(triangles.reshape(-1).tolist()) == set(range(len(vertices)))


def test_all_cases_of_a_cube_are_closed() -> None:
    """Each of the 256 cases, alone in its grid, has a closed surface around the corners that are inside."""
    for case in range(1, 256):
        corners = np.array([case >> corner & 1 for corner in range(8)], np.float32)
        field = corners.reshape(2, 2, 2).transpose(2, 1, 0)  # bit 0 of a corner is x
        vertices, triangles = extract_surface(np.ascontiguousarray(field), 0.5)
        mesh = trimesh.Trimesh(vertices, triangles, process=False)
        assert mesh.is_watertight, case
        assert mesh.is_winding_consistent, case
        assert mesh.volume > 0, case


def test_a_plane_is_where_the_field_has_the_level() -> None:
    """In a field that is linear along an axis, the surface across it is exact, and its normals point outward."""
    field = np.broadcast_to(np.arange(8, 0, -1, dtype=np.float32)[:, None, None], (8, 6, 6)).copy()
    vertices, triangles = extract_surface(field, 3.25)
    mesh = trimesh.Trimesh(vertices, triangles, process=False)
    is_across = np.isclose(mesh.face_normals[:, 0], 1) & (mesh.triangles_center[:, 0] > 1)
    assert is_across.any()
    assert mesh.triangles[is_across][..., 0] == pytest.approx(4.75)


def test_a_field_without_the_level_has_no_surface() -> None:
    """Below the level everywhere: nothing."""
    vertices, triangles = extract_surface(np.zeros((5, 5, 5), np.float32), 1.0)
    assert (vertices.shape, triangles.shape) == ((0, 3), (0, 3))


def test_a_surface_of_noise_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A surface that crosses more cells than the limit is refused before its triangles are made."""
    monkeypatch.setattr(marching_cubes, "MAX_CUBES", 100)
    field = np.random.default_rng(0).random((9, 9, 9)).astype(np.float32)
    with pytest.raises(SurfaceTooLarge, match="more than 100"):
        extract_surface(field, 0.5)
