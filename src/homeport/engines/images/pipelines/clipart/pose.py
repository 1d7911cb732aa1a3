"""How a drawing sits on its paper: tilt, size, proportions, which way it faces, its shade. Chosen by the seed alone.

The model draws a thing in one way per manner, so this is most of what sets one seed's picture apart from another's.
`framed` undoes most of it, for looking at pictures that come back.
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
_HUE = 6  # of 256 steps around the circle
_LIGHT = 0.08
_FINE = 4  # times the pixels while it is turned, so that contours stay sharp
_INK = 240  # of 255: what is darker in any channel is drawing, not paper
_FRAME = 0.9  # of the paper: the longer side of a framed drawing
_STREAM = 1  # apart from the noise that the walk draws from the same seed


def centre_drawing(pixels: Pixels) -> Pixels:
    """A square picture's drawing in the middle and of the usual size, wherever and however large it was on white."""
    side = pixels.shape[0]
    ink = pixels.min(axis=2) < _INK
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return pixels
    cut = np.ascontiguousarray(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    factor = _FRAME * side / max(cut.shape[:2])
    wide, high = max(1, round(cut.shape[1] * factor)), max(1, round(cut.shape[0] * factor))
    canvas = np.full_like(pixels, 255)
    left, top = (side - wide) // 2, (side - high) // 2
    with Image.fromarray(cut) as image:
        canvas[top : top + high, left : left + wide] = np.asarray(image.resize((wide, high), Image.Resampling.LANCZOS))
    return canvas


@dataclass(frozen=True, slots=True)
class DrawingPose:
    """`tilt_deg` against the clock; `width` and `height` in parts of what was drawn; `hue` in 256ths of the circle."""

    tilt_deg: float
    width: float
    height: float
    mirrored: bool
    hue: int
    light: float

    @classmethod
    def from_seed(cls, seed: int, *, faces_either_way: bool) -> Self:
        """The seed's own. Of what was asked for in words, the left and the right stay: arrows and letters have them."""
        chance = np.random.default_rng((_STREAM, seed))
        size, stretch = chance.uniform(*_SIZES), chance.uniform(-_STRETCH, _STRETCH)
        tilt, light = chance.uniform(-_TILT_DEG, _TILT_DEG), chance.uniform(-_LIGHT, _LIGHT)
        hue, turned = int(chance.integers(-_HUE, _HUE + 1)), bool(chance.integers(2))
        return cls(tilt, size * (1 + stretch), size * (1 - stretch), turned and faces_either_way, hue, light)

    def apply(self, pixels: Pixels) -> Pixels:
        """The drawing so, on white, of the same size."""
        height, width = pixels.shape[:2]
        if self.mirrored:
            pixels = pixels[:, ::-1]
        fine = postprocessing.upscale_contours(np.ascontiguousarray(pixels), ImageSize(width * _FINE, height * _FINE))
        with Image.fromarray(fine) as drawn:
            turned = drawn.transform(
                drawn.size,
                Image.Transform.AFFINE,
                self._affine(*drawn.size),
                Image.Resampling.BILINEAR,
                fillcolor="white",
            )
            made = np.asarray(turned.resize((width, height), Image.Resampling.LANCZOS))
        return self._shift_colours(made)

    def _affine(self, width: int, height: int) -> tuple[float, ...]:
        """From where on the paper to where in the drawing, as Pillow wants it."""
        cosine, sine = np.cos(np.deg2rad(self.tilt_deg)), np.sin(np.deg2rad(self.tilt_deg))
        back = np.array([[cosine / self.width, -sine / self.width], [sine / self.height, cosine / self.height]])
        middle = np.array([width / 2, height / 2])
        shift = middle - back @ middle
        return (*back[0], shift[0], *back[1], shift[1])

    def _shift_colours(self, pixels: Pixels) -> Pixels:
        """White, black and greys keep their hue; a darker shade leaves white white."""
        with Image.fromarray(pixels) as image:
            hsv = np.array(image.convert("HSV"))
        hsv[..., 0] += np.uint8(self.hue % 256)
        value = hsv[..., 2].astype(np.float32) / 255
        hsv[..., 2] = np.rint(255 * np.clip(value + self.light * 4 * value * (1 - value), 0, 1)).astype(np.uint8)
        with Image.fromarray(hsv, "HSV") as shaded:
            return np.asarray(shaded.convert("RGB"))
