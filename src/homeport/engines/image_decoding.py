"""Converts opened pictures to upright ones with eight bits per channel.

Cameras store pictures in the orientation of their sensor and note the rotation in EXIF or XMP. Knows nothing of models.
"""

import warnings
from typing import Final

import numpy as np
from PIL import ExifTags, Image

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By the number that EXIF notes; 1 is upright, and so is what has no number or a wrong one."""


def orientation(opened: Image.Image) -> Image.Transpose | None:
    """The rotation that makes a picture upright; None if it is upright or its metadata is invalid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Pillow finds odd in them
        try:
            return _TURNS.get(opened.getexif().get(ExifTags.Base.Orientation, 1))
        except Exception:  # as many kinds as there are ways to write notes wrongly; the pixels may be whole
            return None


def upright_image(opened: Image.Image) -> Image.Image:
    """The picture, or the first of several, turned upright; 16 bits of grey become 8."""
    way = orientation(opened)
    upright = opened if way is None else opened.transpose(way)
    if upright.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    return upright
