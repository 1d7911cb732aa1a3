"""Prepares a picture for the model: the thing that it shows is cut out, framed, and put on gray.

The background is cut away by the picture's own transparency, or if its border has one color; otherwise it is kept, and
the model takes it for a part of the thing. TripoSR was trained on pictures of this kind, without any background:
https://github.com/VAST-AI-Research/TripoSR (`tsr/utils.py`). Knows nothing of models.
"""

from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.errors import InvalidRequest
from homeport.domain.shapes import ShapeBackground
from homeport.engines.image_decoding import opened_image, upright_image

Pixels: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

_WORK_EDGE = 1024
"""A larger picture is made smaller first, because the model reads fewer pixels."""
_FOREGROUND = 0.85
"""The part of the frame's edge that the thing takes."""
_GRAY = 127
_TOLERANCE = 16
"""How far a pixel of the background may be from its color, in levels of one channel."""
_UNIFORM = 0.95
"""The part of the border that must have one color, so that it counts as a background."""
_VISIBLE = 16
"""The lowest alpha of what is shown."""


def prepare_picture(file: Path, edge: int, background: ShapeBackground, param: str) -> Pixels:
    """Return the picture as the model reads it: [1, 3, edge, edge], RGB from 0 to 1.

    Raises InvalidRequest naming `param` for a file that is no picture, and for a picture that shows nothing.
    """
    with opened_image(file, param) as opened:
        opened.draft("RGB", (_WORK_EDGE, _WORK_EDGE))  # JPEG is decoded at a fraction of its size
        upright = upright_image(opened)
        has_alpha = upright.has_transparency_data
        picture = upright.convert("RGBA")
    picture.thumbnail((_WORK_EDGE, _WORK_EDGE))
    rgba = np.array(picture)
    if background is ShapeBackground.AUTO:
        rgba = _cut_out(rgba, has_alpha=has_alpha)
    shown = rgba[..., 3] >= _VISIBLE
    if not shown.any():
        raise InvalidRequest(
            f"Invalid '{param}': the picture shows nothing: all of it is transparent or has the color of its border.",
            param=param,
            code="empty_image",
        )
    framed = _frame(rgba, shown) if not shown.all() else _square(rgba, 1.0)
    resized = np.asarray(Image.fromarray(framed).resize((edge, edge), Image.Resampling.LANCZOS), np.float32) / 255
    return np.ascontiguousarray(resized.transpose(2, 0, 1)[None])


def _cut_out(rgba: NDArray[np.uint8], *, has_alpha: bool) -> NDArray[np.uint8]:
    """Return the picture with a transparent background, if it has one that can be told from the thing."""
    if has_alpha and (rgba[..., 3] < _VISIBLE).any():
        return rgba
    colors = rgba[..., :3].astype(np.int16)
    border = np.concatenate((colors[0], colors[-1], colors[:, 0], colors[:, -1]))
    color = np.median(border, axis=0)
    if (np.abs(border - color).max(axis=1) <= _TOLERANCE).mean() < _UNIFORM:
        return rgba
    cut = rgba.copy()
    cut[_reachable(np.abs(colors - color).max(axis=2) <= _TOLERANCE), 3] = 0
    return cut


def _reachable(open_pixels: Mask) -> Mask:
    """Return the open pixels that are connected with the border through open ones."""
    reached = np.zeros_like(open_pixels)
    reached[0], reached[-1], reached[:, 0], reached[:, -1] = True, True, True, True
    reached &= open_pixels
    count = -1
    while count != (count := int(reached.sum())):
        reached = _spread(reached, open_pixels)
        reached = _spread(reached.T, open_pixels.T).T
    return reached


def _spread(reached: Mask, open_pixels: Mask) -> Mask:
    """Return the open pixels of each row that are in a run with a reached one."""
    closed = ~open_pixels
    closed[:, 0] = True  # each row begins a run of its own
    runs = np.cumsum(closed.reshape(-1)) - 1
    has_reached = np.bincount(runs, reached.reshape(-1)) > 0
    return np.asarray(has_reached[runs].reshape(reached.shape) & open_pixels)


def _frame(rgba: NDArray[np.uint8], shown: Mask) -> NDArray[np.uint8]:
    """Return the thing in the middle of a square, of whose edge it takes `_FOREGROUND`."""
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    return _square(rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], _FOREGROUND)


def _square(rgba: NDArray[np.uint8], part: float) -> NDArray[np.uint8]:
    """Return pixels on a gray square, of whose edge the longer side takes a part."""
    height, width = rgba.shape[:2]
    edge = round(max(height, width) / part)
    square = np.full((edge, edge, 3), _GRAY, np.uint8)
    top, left = (edge - height) // 2, (edge - width) // 2
    alpha = rgba[..., 3:].astype(np.float32) / 255
    mixed = rgba[..., :3] * alpha + _GRAY * (1 - alpha)
    square[top : top + height, left : left + width] = np.round(mixed).astype(np.uint8)
    return square
