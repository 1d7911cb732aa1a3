"""What clip art should look like: even areas, white paper, and contours that stay sharp when enlarged.

Knows pixels alone, nothing of models. Photographs would suffer from it.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from homeport.domain.images import ImageSize
from homeport.engines.images.pipeline import Pixels

Floats = NDArray[np.float32]

_FAINT = 9.0  # of 255: what varies less than that in its neighbourhood is evened out
_NEAR = 3  # pixels to each side that are a neighbourhood
_PAPER = (232.0, 248.0)  # of 255: between them paper begins; what is lighter is white
_STRAIGHT = Image.Resampling.BILINEAR
_GAIN = 5.0  # how much steeper a contour becomes in four times the pixels
_QUIET, _LOUD = 20.0, 60.0  # of 255: contrasts below are left alone, above are contours


def clean(pixels: Pixels) -> Pixels:
    """Without the faint blotches that a small model leaves: areas evened out, what is nearly white made white."""
    even = _guided_filter(pixels.astype(np.float32))
    low, high = _PAPER
    lightness = even.min(axis=2, keepdims=True)
    white = np.clip((lightness - low) / (high - low), 0, 1)
    return _bytes(even + (255 - even) * white)


def upscale_contours(pixels: Pixels, size: ImageSize, *, rounding: float = 0.0) -> Pixels:
    """At a larger size, interpolated smoothly, then each contour made as steep as it was when counted in pixels.

    `rounding`: over how many of the small picture's pixels contours are smoothed first, so that they show no steps.
    """
    factor = size.width / pixels.shape[1]
    grown = _resize(pixels, size, Image.Resampling.BICUBIC)
    # Cubic curves overshoot at edges: nothing may leave the range of the small picture's nearest pixels.
    least, most = (_resize(_window_extremum(pixels, 1, choose), size, _STRAIGHT) for choose in (np.minimum, np.maximum))
    grown = np.clip(grown, least, most)
    if rounding:
        with Image.fromarray(grown) as image:
            grown = np.asarray(image.filter(ImageFilter.GaussianBlur(rounding * factor)))
    reach = max(1, round(1.5 * factor))
    low, high = _window_extremum(grown, reach, np.minimum), _window_extremum(grown, reach, np.maximum)
    floor = low.astype(np.float32)
    span = high.astype(np.float32) - floor
    place = (grown.astype(np.float32) - floor) / np.maximum(span, 1)
    gain = 1 + (_GAIN - 1) * min(1.0, (factor - 1) / 3)
    steep = np.clip((place - np.float32(0.5)) * np.float32(gain) + np.float32(0.5), 0, 1)
    share = np.clip((span - _QUIET) / (_LOUD - _QUIET), 0, 1)
    return _bytes(floor + span * (place + share * (steep - place)))


def _resize(pixels: Pixels, size: ImageSize, way: Image.Resampling) -> Pixels:
    with Image.fromarray(pixels) as image:
        return np.asarray(image.resize((size.width, size.height), way))


def _guided_filter(pixels: Floats) -> Floats:
    """A guided filter by the picture's own lightness: means where nothing much happens, the pixels at edges."""
    guide: Floats = pixels.mean(axis=2, keepdims=True, dtype=np.float32)
    mean, middle = _mean(pixels), _mean(guide)
    variance = _mean(guide * guide) - middle * middle
    shared = _mean(guide * pixels) - middle * mean
    slope = np.asarray(shared / (variance + _FAINT**2), dtype=np.float32)
    return np.asarray(_mean(slope) * guide + _mean(mean - slope * middle))


def _mean(values: Floats) -> Floats:
    """Of each pixel's neighbourhood."""
    wide = 2 * _NEAR + 1
    for axis in (0, 1):
        pad = [(0, 0)] * 3
        pad[axis] = (_NEAR + 1, _NEAR)
        sums = np.cumsum(np.pad(values, pad, mode="edge"), axis=axis, dtype=np.float64)
        count = values.shape[axis]
        first, last = np.arange(count), np.arange(count) + wide
        values = ((np.take(sums, last, axis) - np.take(sums, first, axis)) / wide).astype(np.float32)
    return values


def _window_extremum(pixels: Pixels, reach: int, choose: np.ufunc) -> Pixels:
    """The least or greatest of each channel within `reach` pixels, by windows that double."""
    for axis in (0, 1):
        pad = [(0, 0)] * 3
        pad[axis] = (reach, reach)
        held, wide, covered = np.pad(pixels, pad, mode="edge"), 2 * reach + 1, 1
        while covered < wide:
            step = min(covered, wide - covered)
            length = held.shape[axis] - step
            held = choose(held.take(np.arange(length), axis), held.take(np.arange(step, step + length), axis))
            covered += step
        pixels = held
    return pixels


def _bytes(values: Floats) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)
