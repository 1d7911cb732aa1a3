"""Marching cubes: the surface at one level of a field of numbers on a regular grid, as a closed mesh of triangles.

The table of the 256 cases is computed here, from one rule: on each face of a cube, the surface separates every run of
inside corners from the others. Both cubes of a face follow it, so that their triangles meet. No diagonal of a polygon
lies in a face, so that every edge belongs to exactly two triangles. Method: W. Lorensen and H. Cline, 1987. Knows
nothing of what the field is.
"""

from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Triangles: TypeAlias = NDArray[np.int32]

_AXES = 3
_CORNERS = 8
_T_MARGIN = 1e-3
"""Vertices keep this distance from the grid's points, in edges, so that no two of them coincide."""

GridEdge: TypeAlias = tuple[int, int]
"""An edge of a cube: its axis and the corner at which it begins. Bit 0 of a corner is x, bit 1 is y, bit 2 is z."""
EDGES: tuple[GridEdge, ...] = tuple(
    (axis, corner) for axis in range(_AXES) for corner in range(_CORNERS) if not corner >> axis & 1
)


MAX_CUBES = 1_000_000
"""A surface that crosses more cubes of the grid is noise, and would take gigabytes."""


class SurfaceTooLarge(ValueError):
    """The surface crosses more than `MAX_CUBES` cubes."""


def extract_surface(field: Floats, level: float) -> tuple[Floats, Triangles]:
    """Return vertices [n, 3] in units of the grid, and triangles [m, 3] that point outward; both may be empty.

    `field` [x, y, z] is above `level` inside. Beyond the grid it counts as far below, so that the surface is closed.
    Raises SurfaceTooLarge.
    """
    padded = np.pad(field, 1, constant_values=min(0.0, level - 1.0))
    codes = _corner_codes(padded > level)
    cubes = np.flatnonzero((codes != 0) & (codes != 255))
    if not len(cubes):
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    if len(cubes) > MAX_CUBES:
        raise SurfaceTooLarge(f"its surface crosses {len(cubes)} cells of the grid, more than {MAX_CUBES}")
    table, counts = _table()
    cases = codes.reshape(-1)[cubes]
    edges = table[cases][np.arange(table.shape[1]) < counts[cases][:, None]]  # [m, 3], numbers of edges
    owners = np.repeat(cubes, counts[cases])
    x, y, z = np.unravel_index(owners, codes.shape)
    corners = np.array([[corner >> axis & 1 for axis in range(_AXES)] for _, corner in EDGES])
    axes = np.array([axis for axis, _ in EDGES])
    starts = np.stack((x, y, z), axis=-1)[:, None, :] + corners[edges]  # [m, 3 vertices, 3 axes]
    keys = np.ravel_multi_index(tuple(np.moveaxis(starts, -1, 0)), padded.shape) * _AXES + axes[edges]
    unique, triangles = np.unique(keys.reshape(-1), return_inverse=True)
    return _vertices(padded, level, unique), triangles.reshape(-1, 3).astype(np.int32)


def _vertices(padded: Floats, level: float, keys: NDArray[np.int64]) -> Floats:
    """Return where the field has the level on these edges of the grid, by linear interpolation."""
    strides = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    points, axes = keys // _AXES, keys % _AXES
    values = padded.reshape(-1)
    low, high = values[points], values[points + strides[axes]]
    part = np.clip((level - low) / (high - low), _T_MARGIN, 1 - _T_MARGIN)
    vertices = np.stack(np.unravel_index(points, padded.shape), axis=-1).astype(np.float32) - 1
    vertices[np.arange(len(keys)), axes] += part
    return vertices


def _corner_codes(inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return for each cube which of its corners are inside, one bit for each."""
    nx, ny, nz = (extent - 1 for extent in inside.shape)
    codes = np.zeros((nx, ny, nz), np.uint8)
    for corner in range(_CORNERS):
        x, y, z = (corner >> axis & 1 for axis in range(_AXES))
        codes |= inside[x : x + nx, y : y + ny, z : z + nz].view(np.uint8) << corner
    return codes


@cache
def _table() -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return for each case its triangles, as numbers of edges, and how many they are."""
    cases = [[triangle for loop in _loops(case) for triangle in _split(loop) or ()] for case in range(256)]
    counts = np.array([len(triangles) for triangles in cases])
    table = np.zeros((256, counts.max(), 3), np.int8)
    for case, triangles in enumerate(cases):
        table[case, : len(triangles)] = np.array(triangles, np.int8).reshape(-1, 3)
    return table, counts


@cache
def _faces() -> tuple[list[int], ...]:
    """Return the corners of each face, counterclockwise as seen from outside."""
    faces = []
    for axis in range(_AXES):
        first, second = 1 << (axis + 1) % _AXES, 1 << (axis + 2) % _AXES
        cycle = [0, first, first | second, second]
        faces += [cycle[::-1], [corner | 1 << axis for corner in cycle]]
    return tuple(faces)


@cache
def _face_edges() -> tuple[frozenset[int], ...]:
    """Return the edges around each face."""
    return tuple(frozenset(_edge(face[at - 1], face[at]) for at in range(4)) for face in _faces())


def _edge(one: int, other: int) -> int:
    """Return the number of the edge between two corners."""
    return EDGES.index(((one ^ other).bit_length() - 1, one & other))


def _loops(case: int) -> list[list[int]]:
    """Return the polygons of a case, each as numbers of edges."""
    following: dict[int, int] = {}
    for face in _faces():
        is_inside = [bool(case >> corner & 1) for corner in face]
        for at in range(4):
            if is_inside[at] and not is_inside[at - 1]:  # a run of inside corners begins
                end = at
                while is_inside[(end + 1) % 4]:
                    end += 1
                leaving = _edge(face[end % 4], face[(end + 1) % 4])
                following[leaving] = _edge(face[at - 1], face[at])
    loops = []
    while following:
        edge, loop = next(iter(following)), list[int]()
        while edge in following:
            loop.append(edge)
            edge = following.pop(edge)
        loops.append(loop)
    return loops


def _split(polygon: list[int]) -> list[tuple[int, ...]] | None:
    """Return the triangles of a polygon, none of whose diagonals lies in a face; None if there are no such."""
    if len(polygon) <= 2:
        return []
    for at in range(1, len(polygon) - 1):
        is_first, is_last = at == 1, at == len(polygon) - 2
        if not (is_first or _is_inner(polygon[0], polygon[at])) or not (is_last or _is_inner(polygon[at], polygon[-1])):
            continue
        before, after = _split(polygon[: at + 1]), _split(polygon[at:])
        if before is not None and after is not None:
            return [(polygon[-1], polygon[at], polygon[0]), *before, *after]
    return None


def _is_inner(one: int, other: int) -> bool:
    """Return whether the line between the middles of two edges lies in no face."""
    return not any({one, other} <= edges for edges in _face_edges())
