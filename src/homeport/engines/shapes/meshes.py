"""Meshes and clouds of colored points: how a mesh is oriented and scaled, its normals, and points on its surface.

Knows nothing of models, pictures or file formats.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Colors: TypeAlias = NDArray[np.uint8]

_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Mesh:
    """A mesh: `vertices` [n, 3], `colors` [n, 3] as sRGB, `triangles` [m, 3] that are counterclockwise from outside.

    A cloud of points has no triangles. `normals` [n, 3] have length 1; a cloud has those of its surface.
    """

    vertices: Floats
    colors: Colors
    triangles: NDArray[np.int32]
    normals: Floats


def build_mesh(vertices: Floats, colors: Floats, triangles: NDArray[np.int32]) -> Mesh:
    """Return a mesh with its normals. `colors`: 0 to 1; what is outside is clipped."""
    rounded = np.round(np.clip(np.nan_to_num(colors), 0, 1) * 255).astype(np.uint8)
    return Mesh(vertices, rounded, triangles, _vertex_normals(vertices, triangles))


def fit_unit_cube(vertices: Floats) -> Floats:
    """Return vertices centered on the origin, in a cube of edge 1 that they touch. Raises ValueError without any."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    extent = float((high - low).max())
    return np.asarray((vertices - (low + high) / 2) / max(extent, _TINY), np.float32)


def sample_points(mesh: Mesh, count: int, seed: int) -> Mesh:
    """Return `count` points of a mesh's surface, evenly distributed over its area: the same ones for the same seed.

    Colors and normals are interpolated between the vertices of a triangle.
    """
    rng = np.random.default_rng(seed)
    corners = mesh.vertices[mesh.triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.cumsum(np.linalg.norm(cross, axis=1), dtype=np.float64)
    chosen = np.searchsorted(total, rng.random(count) * total[-1], side="right").clip(max=len(total) - 1)
    first, second = np.sqrt(rng.random(count)), rng.random(count)
    weights = np.stack((1 - first, first * (1 - second), first * second), axis=1)
    owners = mesh.triangles[chosen]

    def mix(values: NDArray[np.generic]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("pk,pkc->pc", weights, values[owners].astype(np.float64)))

    return Mesh(
        mix(mesh.vertices).astype(np.float32),
        np.round(mix(mesh.colors)).astype(np.uint8),
        np.zeros((0, 3), np.int32),
        _unit(mix(mesh.normals)),
    )


def _vertex_normals(vertices: Floats, triangles: NDArray[np.int32]) -> Floats:
    """Return the mean of the normals of each vertex's triangles, weighted by their areas."""
    corners = vertices[triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    owners = triangles.reshape(-1)
    sums = [np.bincount(owners, np.repeat(cross[:, axis], 3), len(vertices)) for axis in range(3)]
    return _unit(np.stack(sums, axis=1))


def _unit(vectors: NDArray[np.float64]) -> Floats:
    """Return vectors of length 1; those without a direction point up."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(lengths > _TINY, vectors / np.maximum(lengths, _TINY), (0.0, 1.0, 0.0)).astype(np.float32)
