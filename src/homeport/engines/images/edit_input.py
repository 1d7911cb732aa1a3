"""What one request starts from and what becomes of a painted picture: the rules of edits and variations.

Knows nothing of models: a painter's own size is told to it, pixels go in and come out.
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

_SKEW = 0.02  # of two proportions that still count as the same
_MISMATCH = "The mask must have the same dimensions as the image: the image has {} pixels, the mask {}."


@dataclass(frozen=True, slots=True)
class EditInput:
    """The answer's `size`, and where there is a source, its pixels and hole at that size.

    `mask` None with a source: all of it is repainted.
    """

    size: ImageSize
    source: NDArray[np.uint8] | None = None
    mask: Mask | None = None

    @classmethod
    def from_request(cls, request: ImageRequest, own: ImageSize) -> Self:
        """Decode and check what the request starts from. Raises InvalidRequest naming the field at fault."""
        if request.source is None:
            return cls(request.size or own)
        layered = pixels.decode(
            request.source.image.local_path, request.source.field, is_strict=request.source.is_strict
        )
        mask = _mask(request.source, layered)
        size = _size(request, pixels.size_of(layered))
        if mask is not None:
            mask = pixels.mask_at(mask, size)
        return cls(size, pixels.resize(layered, size), mask)

    def at_size(self, size: ImageSize) -> tuple[Pixels | None, Mask | None]:
        """The source and its mask at a painter's size."""
        if self.source is None:
            return None, None
        mask = None if self.mask is None else pixels.mask_at(self.mask, size)
        return pixels.resize(pixels.flatten_on_white(self.source), size), mask

    def composite(self, painted: Pixels) -> NDArray[np.uint8]:
        """A painted picture of the answer's size, the source's own pixels put back wherever the mask keeps them."""
        if self.source is None or self.mask is None:
            return painted
        return pixels.composite(self.source, painted, self.mask)


def _mask(source: ImageSource, image: NDArray[np.uint8]) -> Mask | None:
    size = pixels.size_of(image)
    if source.is_strict and size.width != size.height:
        said = f"The image must be square, and it has {size} pixels."
        raise InvalidRequest(said, param=source.field, code="invalid_image")
    if source.is_variation:
        return None
    mask = pixels.transparent_mask(image)
    field = source.field
    if source.mask is not None:
        field = "mask"
        layered = pixels.decode(source.mask.local_path, field, is_strict=True)
        if pixels.size_of(layered) == ImageSize(size.height, size.width) != size:
            # Made by a program that takes a photo's pixels as they are stored, and does not turn them.
            layered = pixels.turned_like(layered, source.image.local_path)
        if pixels.size_of(layered) != size:
            said = _MISMATCH.format(size, pixels.size_of(layered))
            raise InvalidRequest(said, param=field, code="invalid_image")
        mask = pixels.transparent_mask(layered)
    if mask.any():
        return mask
    if source.mask is not None or source.is_strict:
        raise InvalidRequest(
            f"The {field} has no transparent pixels, so nothing is to be edited: make those fully transparent (alpha "
            f"0) {'that are to be repainted' if source.mask else 'or send a mask'}.",
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
                f"The image has {source} pixels, which cannot be an answer's size: give a size.", param="size"
            )
    skew = (size.width * source.height) / (size.height * source.width)
    if abs(skew - 1) > _SKEW:
        raise InvalidRequest(
            f"The size {size} has other proportions than the image ({source}), which would be distorted.", param="size"
        )
    return size
