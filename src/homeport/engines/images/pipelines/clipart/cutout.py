"""Cuts a drawing out of its white background. Knows pixels only."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from homeport.domain.images import ImageSize
from homeport.engines.images.pipeline import Pixels
from homeport.engines.images.pipelines.clipart import postprocessing

_WHITE_FROM = 244  # of 255: a pixel that is as light in every channel may be background
_FACTOR = 4
_FRINGE = 3  # pixels of the enlarged image: the soft white edge that is cut off
_GAPS_BELOW = 0.55  # of the drawing's height
_GAP_AREA = 0.06  # of the drawing's area
_REGIONS = 24  # enclosed regions that are looked at

Rgba = NDArray[np.uint8]


def cut_out(pixels: Pixels, *, is_open: bool = False) -> Rgba:
    """Return a square drawing, four times as large, with alpha, cut to its own bounds.

    White inside it stays opaque, except for small gaps in its lower half, as between legs. `is_open`: no white inside
    stays, for a basket with a handle. A drawing of white alone is returned whole.
    """
    size = ImageSize(pixels.shape[1] * _FACTOR, pixels.shape[0] * _FACTOR)
    large = postprocessing.upscale_contours(pixels, size, rounding=0.6)
    # Enclosed white is found in the small image, the contour in the large one.
    white = pixels.min(axis=2) >= _WHITE_FROM
    kept = np.zeros_like(white) if is_open else _without_gaps(white & ~_background(white), ~white)
    with Image.fromarray(kept.astype(np.uint8) * 255) as small:
        enclosed = np.asarray(small.resize((size.width, size.height), Image.Resampling.BILINEAR)) > 127
    mask = (large.min(axis=2) < _WHITE_FROM) | enclosed
    with Image.fromarray(mask.astype(np.uint8) * 255) as image:
        shrunk = image.filter(ImageFilter.MinFilter(_FRINGE)).filter(ImageFilter.GaussianBlur(0.8))
        alpha = np.asarray(shrunk)
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        return np.dstack([large, np.full(large.shape[:2], 255, np.uint8)])
    cut = np.dstack([large, alpha])
    return np.ascontiguousarray(cut[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def resize(rgba: Rgba, width: int, height: int) -> Rgba:
    """Return a cut-out at another size. Colors are weighted by their alpha, so that none of the background returns."""
    with Image.fromarray(rgba) as image:
        return np.asarray(image.convert("RGBa").resize((width, height), Image.Resampling.LANCZOS).convert("RGBA"))


def paste(canvas: Pixels, rgba: Rgba, left: int, top: int) -> None:
    """Draw a cut-out on the canvas, in place; what is outside of it is lost."""
    height, width = canvas.shape[:2]
    x, y = max(0, left), max(0, top)
    right, bottom = min(width, left + rgba.shape[1]), min(height, top + rgba.shape[0])
    if x >= right or y >= bottom:
        return
    part = rgba[y - top : bottom - top, x - left : right - left].astype(np.uint32)
    under = canvas[y:bottom, x:right].astype(np.uint32)
    alpha = part[..., 3:]
    canvas[y:bottom, x:right] = ((part[..., :3] * alpha + under * (255 - alpha) + 127) // 255).astype(np.uint8)


def _without_gaps(enclosed: NDArray[np.bool_], drawn: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the enclosed white without the small regions in the lower half of the drawing."""
    rows = np.flatnonzero(drawn.any(axis=1))
    if not len(rows):
        return enclosed
    kept, area = enclosed.copy(), float(drawn.sum())
    middle = rows[0] + _GAPS_BELOW * (rows[-1] - rows[0])
    remaining = enclosed.copy()
    for _ in range(_REGIONS):
        places = np.argwhere(remaining)
        if not len(places):
            break
        seed = np.zeros_like(enclosed)
        seed[tuple(places[0])] = True
        region = _flood(seed, remaining)
        remaining &= ~region
        if region.sum() < _GAP_AREA * area and np.argwhere(region)[:, 0].mean() > middle:
            kept &= ~region
    return kept


def _background(white: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the white pixels that are connected with the border, by white ones."""
    reached = np.zeros_like(white)
    reached[[0, -1], :], reached[:, [0, -1]] = white[[0, -1], :], white[:, [0, -1]]
    return _flood(reached, white)


def _flood(reached: NDArray[np.bool_], white: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the white pixels that are connected with the reached ones."""
    while True:
        before = int(reached.sum())
        for axis in (0, 1):
            for step in (1, -1):
                reached = _spread(reached, white, axis, step)
        if int(reached.sum()) == before:
            return reached


def _spread(reached: NDArray[np.bool_], white: NDArray[np.bool_], axis: int, step: int) -> NDArray[np.bool_]:
    """Spread along one direction through white pixels: a pixel is reached if, since the last wall, one before was."""
    order = (slice(None, None, step), slice(None)) if axis == 0 else (slice(None), slice(None, None, step))
    seen, wall = reached[order], ~white[order]
    index = np.arange(seen.shape[axis]).reshape((-1, 1) if axis == 0 else (1, -1)) + 1
    last_seen = np.maximum.accumulate(np.where(seen, index, 0), axis=axis)
    last_wall = np.maximum.accumulate(np.where(wall, index, 0), axis=axis)
    return np.asarray((last_seen > last_wall)[order])
