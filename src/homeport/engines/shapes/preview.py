"""A picture of a shape from eight sides, by software alone: points of its surface, the nearest one in each pixel.

Knows nothing of models, requests or file formats of shapes.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from homeport.engines.shapes.meshes import Mesh, sample_points

EDGE = 256
"""The edge of one view in pixels."""
COLUMNS, ROWS = 4, 2
"""The views of a picture: each is turned by an eighth of a circle, row by row."""
_POINTS = 200_000
_ELEVATION = np.radians(20.0)
_REACH = 0.88
"""Half of what a view shows: a cube of edge 1 fits in, however it is turned."""
_BACKGROUND = 245
_AMBIENT = 0.45
_LIGHT = np.array([-0.35, 0.55, 0.75])
"""Where the light is, from the camera: up, left, and behind it."""
_SIZE = 3
_SEED = 0


def render_preview(mesh: Mesh) -> bytes:
    """Return a PNG file of `COLUMNS` times `ROWS` views around the vertical axis, seen from slightly above."""
    points = sample_points(mesh, _POINTS, _SEED) if len(mesh.triangles) else mesh
    n_views = COLUMNS * ROWS
    views = [_view(points, 2 * np.pi * view / n_views) for view in range(n_views)]
    rows = [np.concatenate(views[row * COLUMNS : (row + 1) * COLUMNS], axis=1) for row in range(ROWS)]
    written = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(written, "PNG")
    return written.getvalue()


def _view(points: Mesh, angle: float) -> NDArray[np.uint8]:
    """Return one view, height x width x 3. A point is a square of `_SIZE` pixels, so that a surface has no holes."""
    turn = _rotation(angle)
    normals = points.normals @ turn.T
    is_facing = normals[:, 2] > 0
    places, light = points.vertices[is_facing] @ turn.T, np.clip(normals[is_facing] @ _LIGHT, 0, 1)
    colors = (points.colors[is_facing] * (_AMBIENT + (1 - _AMBIENT) * light[:, None])).astype(np.uint8)
    scale = EDGE / (2 * _REACH)
    columns = np.floor(EDGE / 2 + places[:, 0] * scale).astype(np.int64)
    rows = np.floor(EDGE / 2 - places[:, 1] * scale).astype(np.int64)
    order = np.argsort(places[:, 2])  # the farthest first, so that nearer ones replace them
    rows, columns, heights, colors = rows[order], columns[order], places[order, 2], colors[order]
    view = np.full((EDGE, EDGE, 3), _BACKGROUND, np.uint8)
    depth = np.full((EDGE, EDGE), -np.inf)
    for down, right in np.ndindex(_SIZE, _SIZE):
        at = rows + down - _SIZE // 2, columns + right - _SIZE // 2
        nearest, layer = np.full((EDGE, EDGE), -np.inf), np.zeros_like(view)
        nearest[at], layer[at] = heights, colors
        is_nearer = nearest > depth
        view[is_nearer], depth[is_nearer] = layer[is_nearer], nearest[is_nearer]
    return view


def _rotation(angle: float) -> NDArray[np.float64]:
    """Return what turns a shape around its vertical axis, and then toward the camera above it."""
    around = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    down = np.array(
        [[1, 0, 0], [0, np.cos(_ELEVATION), -np.sin(_ELEVATION)], [0, np.sin(_ELEVATION), np.cos(_ELEVATION)]]
    )
    return np.asarray(down @ around)
