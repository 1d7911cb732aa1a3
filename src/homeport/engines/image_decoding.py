"""Decodes images of callers within limits, and converts opened images to upright ones with eight bits per channel.

Cameras store images in the orientation of their sensor, with the rotation in EXIF or XMP. Knows nothing of models.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from homeport.domain.errors import InvalidRequest
from homeport.domain.thumbnails import Thumbnail

MAX_PIXELS = 50_000_000
"""An image with more pixels is refused before any of them is decoded."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")

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


def decode_rgb(file: Path, param: str) -> Image.Image:
    """Return an image file's first frame, upright, as RGB, with transparent pixels on white.

    Raises InvalidRequest naming `param` if it is not an image of `FORMATS`, too large, damaged or incomplete.
    """
    with opened_image(file, param) as image:
        return flatten(upright_image(image))


def flatten(image: Image.Image) -> Image.Image:
    """Return an image as RGB, with transparent pixels on white."""
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def make_thumbnail(file: Path, max_width: int, max_height: int) -> Thumbnail:
    """Return an image made small enough to fit. Raises what `decode_rgb` raises, naming the file."""
    with opened_image(file, file.name) as image:
        image.draft("RGB", (2 * max_width, 2 * max_height))  # JPEG is decoded at a fraction of its size
        small = upright_image(image).convert("RGB")
        small.thumbnail((max_width, max_height))
    encoded = io.BytesIO()
    small.save(encoded, "PNG")
    return Thumbnail(small.width, small.height, small.tobytes(), encoded.getvalue())


def count_pixels(file: Path, param: str) -> int:
    """Return how many pixels an image has, by its header. Raises what `decode_rgb` raises for a wrong header."""
    with opened_image(file, param) as image:
        return image.width * image.height


@contextmanager
def opened_image(file: Path, param: str) -> Iterator[Image.Image]:
    """Open an image; errors while it is open are those of the file. Raises what `decode_rgb` raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about images over its own limit and about unusual metadata
        try:
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _too_large(param)
                yield image
        except UnidentifiedImageError as error:
            kinds = ", ".join(FORMATS)
            raise InvalidRequest(
                f"Invalid '{param}': the file is not an image of a supported format ({kinds}).",
                param=param,
                code="invalid_image_format",
            ) from error
        except Image.DecompressionBombError as error:
            raise _too_large(param) from error
        except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
            raise InvalidRequest(
                f"Invalid '{param}': the image is damaged or incomplete.", param=param, code="invalid_image"
            ) from error


def _too_large(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid '{param}': the image has more than {MAX_PIXELS} pixels, which is the limit.",
        param=param,
        code="image_too_large",
    )
