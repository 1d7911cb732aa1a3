"""Image files and pixels: decoding with limits, masks, resizing, encoding.

Knows nothing of models. Errors about uploads are worded like OpenAI's.
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
    """Return the pixels of an upload. Raises InvalidRequest for `field`: unreadable, another format, too many pixels.

    Photos are turned upright, 16-bit and palette images become 8-bit, and only the first frame is read.
    """
    formats = _STRICT if is_strict else _LOOSE
    try:
        with _open(file, formats) as opened:
            if opened.width * opened.height > SOURCE_PIXELS_MAX:
                raise InvalidRequest(
                    f"The {field} has {opened.width}x{opened.height} pixels; the limit is {SOURCE_PIXELS_MAX}.",
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
    """Return width and height."""
    return ImageSize(pixels.shape[1], pixels.shape[0])


def turn_like(rgba: RgbaPixels, file: Path) -> RgbaPixels:
    """Return pixels turned in the same way as `decode` turns those of a photo."""
    with _open(file, _LOOSE) as opened, Image.fromarray(rgba) as image:
        rotation = image_decoding.orientation(opened)
        return rgba if rotation is None else np.asarray(image.transpose(rotation))


def transparent_mask(rgba: RgbaPixels) -> Mask:
    """Return where an image is fully transparent."""
    return np.asarray(rgba[..., 3] == 0, dtype=np.bool_)


def flatten_on_white(rgba: RgbaPixels) -> Pixels:
    """Return the image on white, without alpha."""
    color, alpha = rgba[..., :3].astype(np.uint32), rgba[..., 3:].astype(np.uint32)
    return ((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def composite(source: RgbaPixels, generated: Pixels, mask: Mask) -> NDArray[np.uint8]:
    """Return `generated` inside the mask and the source's exact pixels elsewhere; with alpha only if it is needed."""
    result = source.copy()
    result[mask, :3] = generated[mask]
    result[mask, 3] = 255
    return result if (result[..., 3] < 255).any() else result[..., :3]


def resize(pixels: NDArray[np.uint8], size: ImageSize) -> NDArray[np.uint8]:
    """Return the image at another size, smoothed; unchanged if it has that size."""
    if size_of(pixels) == size:
        return pixels
    with Image.fromarray(pixels) as image, image.resize((size.width, size.height), Image.Resampling.LANCZOS) as resized:
        return np.asarray(resized)


def enlarge(pixels: Pixels, size: ImageSize) -> Pixels:
    """Return a generated image at the output size with sharp edges: doubled linearly and sharpened, repeatedly."""
    while size.width >= 2 * pixels.shape[1] and size.height >= 2 * pixels.shape[0]:
        pixels = _sharpen(_upscale_bicubic(pixels, ImageSize(2 * pixels.shape[1], 2 * pixels.shape[0])))
    own = size_of(pixels)
    if size.width < own.width or size.height < own.height:
        return resize(pixels, size)
    return pixels if size == own else _sharpen(_upscale_bicubic(pixels, size))


def mask_at(mask: Mask, size: ImageSize) -> Mask:
    """Return the mask at another size: true wherever any pixel under it is."""
    if (mask.shape[1], mask.shape[0]) == (size.width, size.height):
        return mask
    with (
        Image.fromarray(mask.astype(np.float32)) as image,
        image.resize((size.width, size.height), Image.Resampling.BOX) as resized,
    ):
        return np.asarray(np.asarray(resized) > 0, dtype=np.bool_)


def encode(pixels: NDArray[np.uint8], output: ImageOutput) -> bytes:
    """Return the image as a file with pixels only: no text, times, places or color profiles."""
    file = io.BytesIO()
    if output.format is ImageFormat.JPEG and pixels.shape[2] == 4:
        pixels = flatten_on_white(pixels)
    with Image.fromarray(pixels) as image:
        if output.format is ImageFormat.PNG:
            image.save(file, "PNG", compress_level=_PNG_LEVEL)
        elif output.format is ImageFormat.JPEG:
            image.save(file, "JPEG", quality=max(1, output.quality), subsampling=0 if output.quality > 90 else -1)
        else:
            image.save(file, "WEBP", quality=output.quality, lossless=output.quality == 100, exact=True)
    return file.getvalue()


def _open(file: Path, formats: tuple[str, ...]) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about unusual metadata, and about huge images, which are refused
        return Image.open(file, formats=formats)


def _upscale_bicubic(pixels: Pixels, size: ImageSize) -> Pixels:
    """Enlarge so that each color is between its neighbors': smoother filters ring at edges."""
    with (
        Image.fromarray(pixels) as image,
        image.resize((size.width, size.height), Image.Resampling.BILINEAR) as resized,
    ):
        return np.asarray(resized)


def _sharpen(pixels: Pixels) -> Pixels:
    """Sharpen with an unsharp mask that stays within each neighborhood's own range."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="edge").astype(np.int16)
    height, width = pixels.shape[:2]
    neighbors = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    blur = sum(neighbors[1:], neighbors[0]) // 9
    low, high = neighbors[0], neighbors[0]
    for each in neighbors[1:]:
        low, high = np.minimum(low, each), np.maximum(high, each)
    return np.asarray(np.clip(2 * neighbors[4] - blur, low, high), dtype=np.uint8)
