"""The rules of edits and variations: decodes a request's source image and mask, and composites the result.

Knows nothing of models: it receives the pipeline's native size; pixels go in and out.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import InvalidRequest
from homeport.domain.images import (
    EDGE_MAX,
    EDGE_MIN,
    PIXELS_MAX,
    ImageRequest,
    ImageSize,
    ImageSource,
)
from homeport.engines.images import pixels
from homeport.engines.images.pipeline import Mask, Pixels

_MAX_SKEW = 0.02  # difference up to which two aspect ratios count as equal
_MISMATCH = "The mask must have the same dimensions as the image: the image has {} pixels, the mask {}."


@dataclass(frozen=True, slots=True)
class EditInput:
    """The output `size`, and the source's pixels and mask at that size, if there is a source.

    `mask` None with a source: the whole image is regenerated.
    """

    size: ImageSize
    source: NDArray[np.uint8] | None = None
    mask: Mask | None = None

    @classmethod
    def from_request(cls, request: ImageRequest, own: ImageSize) -> Self:
        """Decode and check a request's source. `own`: the pipeline's native size.

        Raises InvalidRequest that names the invalid field.
        """
        if request.source is None:
            return cls(request.size or own)
        rgba = pixels.decode(request.source.image.local_path, request.source.field, is_strict=request.source.is_strict)
        mask = _mask(request.source, rgba)
        size = _size(request, pixels.size_of(rgba))
        if mask is not None:
            mask = pixels.mask_at(mask, size)
        return cls(size, pixels.resize(rgba, size), mask)

    def at_size(self, size: ImageSize) -> tuple[Pixels | None, Mask | None]:
        """Return the source and its mask at a pipeline's size."""
        if self.source is None:
            return None, None
        mask = None if self.mask is None else pixels.mask_at(self.mask, size)
        return pixels.resize(pixels.flatten_on_white(self.source), size), mask

    def composite(self, generated: Pixels) -> NDArray[np.uint8]:
        """Return a generated image of the output size, with the source's own pixels outside the mask."""
        if self.source is None or self.mask is None:
            return generated
        return pixels.composite(self.source, generated, self.mask)


def _mask(source: ImageSource, image: NDArray[np.uint8]) -> Mask | None:
    size = pixels.size_of(image)
    if source.is_strict and size.width != size.height:
        message = f"The image must be square, and it has {size} pixels."
        raise InvalidRequest(message, param=source.field, code="invalid_image")
    if source.is_variation:
        return None
    mask = pixels.transparent_mask(image)
    field = source.field
    if source.mask is not None:
        field = "mask"
        rgba = pixels.decode(source.mask.local_path, field, is_strict=True)
        if pixels.size_of(rgba) == ImageSize(size.height, size.width) != size:
            # From a program that reads a photo's pixels as they are stored and ignores its orientation.
            rgba = pixels.turn_like(rgba, source.image.local_path)
        if pixels.size_of(rgba) != size:
            message = _MISMATCH.format(size, pixels.size_of(rgba))
            raise InvalidRequest(message, param=field, code="invalid_image")
        mask = pixels.transparent_mask(rgba)
    if mask.any():
        return mask
    if source.mask is not None or source.is_strict:
        remedy = "make the area to edit fully transparent (alpha 0)"
        if source.mask is None:
            remedy += ", or send a mask"
        raise InvalidRequest(
            f"The {field} has no transparent pixels, so there is nothing to edit: {remedy}.",
            param=field,
            code="invalid_image",
        )
    return None


def _size(request: ImageRequest, source: ImageSize) -> ImageSize:
    size = request.size or source
    if request.size is None:
        edges = sorted((source.width, source.height))
        if edges[0] < EDGE_MIN or edges[1] > EDGE_MAX or source.width * source.height > PIXELS_MAX:
            raise InvalidRequest(
                f"The image has {source} pixels, which is not a supported output size: set 'size'.", param="size"
            )
    skew = (size.width * source.height) / (size.height * source.width)
    if abs(skew - 1) > _MAX_SKEW:
        raise InvalidRequest(
            f"The size {size} has another aspect ratio than the image ({source}), which it would distort.",
            param="size",
        )
    return size
