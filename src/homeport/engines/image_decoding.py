"""Converts opened images to upright ones with eight bits per channel.

Cameras store images in the orientation of their sensor, with the rotation in EXIF or XMP. Knows nothing of models.
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
"""By EXIF orientation; 1 is upright, and so is an image with a missing or invalid one."""


def orientation(opened: Image.Image) -> Image.Transpose | None:
    """Return the rotation that makes an image upright; None if it is upright or its metadata is invalid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about unusual metadata
        try:
            return _TURNS.get(opened.getexif().get(ExifTags.Base.Orientation, 1))
        except Exception:  # invalid metadata raises many kinds of errors; the pixels may be intact
            return None


def upright_image(opened: Image.Image) -> Image.Image:
    """Return the image (of several, the first) turned upright; 16-bit gray becomes 8-bit."""
    rotation = orientation(opened)
    upright = opened if rotation is None else opened.transpose(rotation)
    if upright.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    return upright
