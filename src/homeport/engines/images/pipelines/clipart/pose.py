"""A drawing's pose, chosen by the seed: tilt, size, proportions, the side it faces, hue and lightness.

The model draws a caption in one way per style, so the pose is most of the difference between seeds. `center_drawing`
undoes most of it for images that are sent back.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image

from homeport.domain.images import ImageSize
from homeport.engines.images.pipeline import Pixels
from homeport.engines.images.pipelines.clipart import postprocessing

_TILT_DEG = 8.0
_SIZES = (0.82, 0.94)
_STRETCH = 0.06
_HUE = 6  # of 256 steps around the color circle
_LIGHT = 0.08
_SUPERSAMPLING = 4  # factor by which a drawing is enlarged while it is transformed, so that contours stay sharp
_FOREGROUND_BELOW = 240  # of 255: a pixel that is darker in any channel belongs to the drawing
_CENTERED_SIDE = 0.9  # of the image: the longer side of a centered drawing
_STREAM = 1  # separates these random numbers from the sampler's noise of the same seed


def center_drawing(pixels: Pixels) -> Pixels:
    """Return a square image with its drawing centered and at the usual size, whatever its place and size on white."""
    side = pixels.shape[0]
    is_drawing = pixels.min(axis=2) < _FOREGROUND_BELOW
    rows, columns = np.flatnonzero(is_drawing.any(axis=1)), np.flatnonzero(is_drawing.any(axis=0))
    if not len(rows):
        return pixels
    cut = np.ascontiguousarray(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    factor = _CENTERED_SIDE * side / max(cut.shape[:2])
    width, height = max(1, round(cut.shape[1] * factor)), max(1, round(cut.shape[0] * factor))
    canvas = np.full_like(pixels, 255)
    left, top = (side - width) // 2, (side - height) // 2
    with Image.fromarray(cut) as image:
        resized = image.resize((width, height), Image.Resampling.LANCZOS)
    canvas[top : top + height, left : left + width] = np.asarray(resized)
    return canvas


@dataclass(frozen=True, slots=True)
class DrawingPose:
    """`tilt_deg`: counterclockwise; `width` and `height`: relative to the drawing; `hue`: in 256ths of the circle."""

    tilt_deg: float
    width: float
    height: float
    mirrored: bool
    hue: int
    light: float

    @classmethod
    def from_seed(cls, seed: int, *, faces_either_way: bool) -> Self:
        """Return the seed's pose. `faces_either_way` False: never mirrored, for captions of arrows or letters."""
        generator = np.random.default_rng((_STREAM, seed))
        size, stretch = generator.uniform(*_SIZES), generator.uniform(-_STRETCH, _STRETCH)
        tilt, light = generator.uniform(-_TILT_DEG, _TILT_DEG), generator.uniform(-_LIGHT, _LIGHT)
        hue, mirrored = int(generator.integers(-_HUE, _HUE + 1)), bool(generator.integers(2))
        return cls(tilt, size * (1 + stretch), size * (1 - stretch), mirrored and faces_either_way, hue, light)

    def apply(self, pixels: Pixels) -> Pixels:
        """Return the drawing in this pose, on white, of the same size."""
        height, width = pixels.shape[:2]
        if self.mirrored:
            pixels = pixels[:, ::-1]
        large_size = ImageSize(width * _SUPERSAMPLING, height * _SUPERSAMPLING)
        large = postprocessing.upscale_contours(np.ascontiguousarray(pixels), large_size)
        with Image.fromarray(large) as image:
            transformed = image.transform(
                image.size,
                Image.Transform.AFFINE,
                self._affine(*image.size),
                Image.Resampling.BILINEAR,
                fillcolor="white",
            )
            result = np.asarray(transformed.resize((width, height), Image.Resampling.LANCZOS))
        return self._shift_colors(result)

    def _affine(self, width: int, height: int) -> tuple[float, ...]:
        """Return the coefficients from output to input coordinates, in Pillow's order."""
        cosine, sine = np.cos(np.deg2rad(self.tilt_deg)), np.sin(np.deg2rad(self.tilt_deg))
        inverse = np.array([[cosine / self.width, -sine / self.width], [sine / self.height, cosine / self.height]])
        center = np.array([width / 2, height / 2])
        shift = center - inverse @ center
        return (*inverse[0], shift[0], *inverse[1], shift[1])

    def _shift_colors(self, pixels: Pixels) -> Pixels:
        """Shift hue and lightness; white, black and gray keep their hue, and white stays white."""
        with Image.fromarray(pixels) as image:
            hsv = np.array(image.convert("HSV"))
        hsv[..., 0] += np.uint8(self.hue % 256)
        value = hsv[..., 2].astype(np.float32) / 255
        hsv[..., 2] = np.rint(255 * np.clip(value + self.light * 4 * value * (1 - value), 0, 1)).astype(np.uint8)
        with Image.fromarray(hsv, "HSV") as shaded:
            return np.asarray(shaded.convert("RGB"))
