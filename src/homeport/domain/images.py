"""What an image engine is asked for. Values only; `api` builds them, a worker reads them.

Knows nothing of JSON field names, HTTP or picture formats: uploads lie on the disk as they came, and are decoded in the
worker alone. What needs the pixels or the model (sizes that agree, transparency, previews) is checked there.
"""

from enum import StrEnum
from pathlib import Path

import msgspec

PIXELS_MAX = 3 * 1024 * 1024
"""The most pixels of an answer: four bytes each, uncompressed, stay below what one message of a worker may hold."""
EDGE_MIN, EDGE_MAX = 64, 2048
"""Shortest and longest edge of an answer, in pixels."""
SOURCE_PIXELS_MAX = 16 * 1024 * 1024
"""The most pixels of an upload: a small file can claim a huge picture."""


class ImageFormat(StrEnum):
    """How a picture is written."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


class ImageSize(msgspec.Struct, frozen=True, array_like=True):
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class ImageSource(msgspec.Struct, frozen=True, array_like=True):
    """An uploaded picture to start from, a file that stays until the request has ended; and optionally a mask.

    Fully transparent pixels of the mask are to be repainted; without a mask the picture's own alpha is used.
    `is_strict`: 2023's rules, a square PNG, and for an edit transparency in the mask or the picture; otherwise PNG,
    JPEG or WebP, and an edit without transparency repaints all of it. `field`: what the caller calls the picture.
    """

    image: Path
    mask: Path | None = None
    is_strict: bool = True
    is_variation: bool = False
    field: str = "image"


class ImageOutput(msgspec.Struct, frozen=True, array_like=True):
    """How a picture is handed over. `quality` is 0 to 100, for JPEG and WebP; 100 is lossless in WebP."""

    format: ImageFormat = ImageFormat.PNG
    quality: int = 100


class ImageRequest(msgspec.Struct, frozen=True, tag="image_request"):
    """`n` pictures of one prompt, each its own seed: `seed`, `seed + 1`, …; without a seed, a fresh one.

    `size` None: the source's, or the model's own. `source` None: from the prompt alone. `steps`, `guidance` (how
    closely the prompt is followed; 1 is not at all more than the model does by itself) and `strength` (0 to 1, how far
    from the source) None: what the model was made for. `effort` multiplies the steps that the model was made for.
    `partial_images`: how many unfinished ones are shown per picture.
    """

    prompt: str
    n: int = 1
    size: ImageSize | None = None
    source: ImageSource | None = None
    seed: int | None = None
    steps: int | None = None
    effort: float = 1.0
    guidance: float | None = None
    strength: float | None = None
    negative_prompt: str = ""
    partial_images: int = 0
    output: ImageOutput = ImageOutput()
