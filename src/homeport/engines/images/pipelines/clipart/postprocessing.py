"""Postprocessing for clip art: even areas, a white background, and contours that stay sharp when enlarged.

Knows pixels only, nothing of models. Not suited to photographs.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from homeport.domain.images import ImageSize
from homeport.engines.images.pipeline import Pixels

Floats = NDArray[np.float32]

_MAX_NOISE = 9.0  # of 255: smaller variations in a neighborhood are smoothed out
_RADIUS = 3  # pixels to each side that form a neighborhood
_BACKGROUND = (232.0, 248.0)  # of 255: lightness from which a pixel fades to white, and from which it is white
_GAIN = 5.0  # how much steeper a contour becomes at four times the size
_LOW_CONTRAST, _HIGH_CONTRAST = 20.0, 60.0  # of 255: smaller contrasts are left alone, larger ones are contours


def clean(pixels: Pixels) -> Pixels:
    """Remove the faint blotches of a small model: smooth areas, and make nearly white pixels white."""
    smooth = _guided_filter(pixels.astype(np.float32))
    low, high = _BACKGROUND
    lightness = smooth.min(axis=2, keepdims=True)
    white = np.clip((lightness - low) / (high - low), 0, 1)
    return _bytes(smooth + (255 - smooth) * white)


def upscale_contours(pixels: Pixels, size: ImageSize, *, rounding: float = 0.0) -> Pixels:
    """Enlarge smoothly, then make each contour as steep, in pixels, as it was before.

    `rounding`: width of the smoothing of contours, in pixels of the small image, so that they show no steps.
    """
    factor = size.width / pixels.shape[1]
    upscaled = _resize(pixels, size, Image.Resampling.BICUBIC)
    # Cubic interpolation overshoots at edges: values are clipped to the range of the small image's nearest pixels.
    minima, maxima = (
        _resize(_window_extremum(pixels, 1, choose), size, Image.Resampling.BILINEAR)
        for choose in (np.minimum, np.maximum)
    )
    upscaled = np.clip(upscaled, minima, maxima)
    if rounding:
        with Image.fromarray(upscaled) as image:
            upscaled = np.asarray(image.filter(ImageFilter.GaussianBlur(rounding * factor)))
    radius = max(1, round(1.5 * factor))
    low, high = _window_extremum(upscaled, radius, np.minimum), _window_extremum(upscaled, radius, np.maximum)
    floor = low.astype(np.float32)
    span = high.astype(np.float32) - floor
    level = (upscaled.astype(np.float32) - floor) / np.maximum(span, 1)
    gain = 1 + (_GAIN - 1) * min(1.0, (factor - 1) / 3)
    steep = np.clip((level - np.float32(0.5)) * np.float32(gain) + np.float32(0.5), 0, 1)
    weight = np.clip((span - _LOW_CONTRAST) / (_HIGH_CONTRAST - _LOW_CONTRAST), 0, 1)
    return _bytes(floor + span * (level + weight * (steep - level)))


def _resize(pixels: Pixels, size: ImageSize, resampling: Image.Resampling) -> Pixels:
    with Image.fromarray(pixels) as image:
        return np.asarray(image.resize((size.width, size.height), resampling))


def _guided_filter(pixels: Floats) -> Floats:
    """Apply a guided filter with the image's own lightness as guide: it smooths areas and keeps edges."""
    guide: Floats = pixels.mean(axis=2, keepdims=True, dtype=np.float32)
    mean, middle = _mean(pixels), _mean(guide)
    variance = _mean(guide * guide) - middle * middle
    shared = _mean(guide * pixels) - middle * mean
    slope = np.asarray(shared / (variance + _MAX_NOISE**2), dtype=np.float32)
    return np.asarray(_mean(slope) * guide + _mean(mean - slope * middle))


def _mean(values: Floats) -> Floats:
    """Return the mean of each pixel's neighborhood."""
    width = 2 * _RADIUS + 1
    for axis in (0, 1):
        pad = [(0, 0)] * 3
        pad[axis] = (_RADIUS + 1, _RADIUS)
        sums = np.cumsum(np.pad(values, pad, mode="edge"), axis=axis, dtype=np.float64)
        count = values.shape[axis]
        first, last = np.arange(count), np.arange(count) + width
        values = ((np.take(sums, last, axis) - np.take(sums, first, axis)) / width).astype(np.float32)
    return values


def _window_extremum(pixels: Pixels, radius: int, choose: np.ufunc) -> Pixels:
    """Return the minimum or maximum of each channel within `radius` pixels, with windows that double."""
    for axis in (0, 1):
        pad = [(0, 0)] * 3
        pad[axis] = (radius, radius)
        result, width, covered = np.pad(pixels, pad, mode="edge"), 2 * radius + 1, 1
        while covered < width:
            step = min(covered, width - covered)
            length = result.shape[axis] - step
            result = choose(result.take(np.arange(length), axis), result.take(np.arange(step, step + length), axis))
            covered += step
        pixels = result
    return pixels


def _bytes(values: Floats) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)
