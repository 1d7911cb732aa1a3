"""Pictures as files and as pixels: decoding with caps, the mask rule, resizing, encoding.

Knows nothing of models. What is wrong with an upload is said in words like OpenAI's.
"""

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from homeport.domain.errors import InvalidRequest
from homeport.domain.images import (
    SOURCE_PIXELS_MAX,
    ImageFormat,
    ImageOutput,
    ImageSize,
)
from homeport.engines import image_decoding
from homeport.engines.images.pipeline import Mask, Pixels

RgbaPixels = NDArray[np.uint8]
"""Height x width x 4, RGB and alpha."""

_STRICT, _LOOSE = ("PNG",), ("PNG", "JPEG", "WEBP")
_PNG_LEVEL = 6


def decode(file: Path, field: str, *, is_strict: bool) -> RgbaPixels:
    """The pixels of an upload. Raises InvalidRequest naming `field`: unreadable, another format, or too many pixels.

    Photos are turned upright, 16-bit and palette pictures become 8-bit ones, of several frames the first is taken.
    """
    formats = _STRICT if is_strict else _LOOSE
    try:
        with _opened(file, formats) as opened:
            if opened.width * opened.height > SOURCE_PIXELS_MAX:
                raise InvalidRequest(
                    f"The {field} has {opened.width}x{opened.height} pixels; at most {SOURCE_PIXELS_MAX} are taken.",
                    param=field,
                    code="image_too_large",
                )
            return np.asarray(image_decoding.upright_image(opened).convert("RGBA"))
    except InvalidRequest:
        raise
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        MemoryError,
        Image.DecompressionBombError,
    ) as error:
        kinds = "a valid PNG" if is_strict else "a valid PNG, JPEG or WebP"
        raise InvalidRequest(f"The {field} must be {kinds} file.", param=field, code="invalid_image") from error


def size_of(pixels: RgbaPixels | Pixels) -> ImageSize:
    """Width and height."""
    return ImageSize(pixels.shape[1], pixels.shape[0])


def turned_like(layered: RgbaPixels, file: Path) -> RgbaPixels:
    """Pixels turned as those of a photo were, which `decode` has read."""
    with _opened(file, _LOOSE) as opened, Image.fromarray(layered) as image:
        way = image_decoding.orientation(opened)
        return layered if way is None else np.asarray(image.transpose(way))


def transparent_mask(layered: RgbaPixels) -> Mask:
    """Where a picture is fully transparent."""
    return np.asarray(layered[..., 3] == 0, dtype=np.bool_)


def flatten_on_white(layered: RgbaPixels) -> Pixels:
    """The picture on white, without alpha."""
    colour, alpha = layered[..., :3].astype(np.uint32), layered[..., 3:].astype(np.uint32)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def composite(source: RgbaPixels, painted: Pixels, mask: Mask) -> NDArray[np.uint8]:
    """`painted` where the mask says so, the source's very pixels elsewhere. With alpha only where some is needed."""
    result = source.copy()
    result[mask, :3] = painted[mask]
    result[mask, 3] = 255
    return result if (result[..., 3] < 255).any() else result[..., :3]


def resize(pixels: NDArray[np.uint8], size: ImageSize) -> NDArray[np.uint8]:
    """The picture at another size, smooth; the same one where the size is its own."""
    if size_of(pixels) == size:
        return pixels
    with Image.fromarray(pixels) as image, image.resize((size.width, size.height), Image.Resampling.LANCZOS) as made:
        return np.asarray(made)


def enlarge(pixels: Pixels, size: ImageSize) -> Pixels:
    """A painted picture at the answer's size, its edges kept: enlarged in linear steps of two, each sharpened."""
    while size.width >= 2 * pixels.shape[1] and size.height >= 2 * pixels.shape[0]:
        pixels = _sharpen(_upscale_bicubic(pixels, ImageSize(2 * pixels.shape[1], 2 * pixels.shape[0])))
    own = size_of(pixels)
    if size.width < own.width or size.height < own.height:
        return resize(pixels, size)
    return pixels if size == own else _sharpen(_upscale_bicubic(pixels, size))


def mask_at(mask: Mask, size: ImageSize) -> Mask:
    """The mask at another size: true wherever any pixel under it is."""
    if (mask.shape[1], mask.shape[0]) == (size.width, size.height):
        return mask
    with (
        Image.fromarray(mask.astype(np.float32)) as image,
        image.resize((size.width, size.height), Image.Resampling.BOX) as made,
    ):
        return np.asarray(np.asarray(made) > 0, dtype=np.bool_)


def encode(pixels: NDArray[np.uint8], finish: ImageOutput) -> bytes:
    """The picture as a file, which holds pixels and nothing else: no text, times, places or colour profiles."""
    made = io.BytesIO()
    if finish.format is ImageFormat.JPEG and pixels.shape[2] == 4:
        pixels = flatten_on_white(pixels)
    with Image.fromarray(pixels) as image:
        if finish.format is ImageFormat.PNG:
            image.save(made, "PNG", compress_level=_PNG_LEVEL)
        elif finish.format is ImageFormat.JPEG:
            image.save(made, "JPEG", quality=max(1, finish.quality), subsampling=0 if finish.quality > 90 else -1)
        else:
            image.save(made, "WEBP", quality=finish.quality, lossless=finish.quality == 100, exact=True)
    return made.getvalue()


def _opened(file: Path, formats: tuple[str, ...]) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd notes, and of huge pictures, which are refused
        return Image.open(file, formats=formats)


def _upscale_bicubic(pixels: Pixels, size: ImageSize) -> Pixels:
    """Larger, and without a colour that is not between its neighbours': smoother ways ring at edges."""
    with (
        Image.fromarray(pixels) as image,
        image.resize((size.width, size.height), Image.Resampling.BILINEAR) as made,
    ):
        return np.asarray(made)


def _sharpen(pixels: Pixels) -> Pixels:
    """Steepen edges by what a small blur takes from them, without overshooting the neighbourhood's own range."""
    wide = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="edge").astype(np.int16)
    height, width = pixels.shape[:2]
    near = [wide[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    blur = sum(near[1:], near[0]) // 9
    low, high = near[0], near[0]
    for each in near[1:]:
        low, high = np.minimum(low, each), np.maximum(high, each)
    return np.asarray(np.clip(2 * near[4] - blur, low, high), dtype=np.uint8)
