"""The request to an image engine. Values only: `api` builds them, a worker reads them.

Knows nothing of JSON field names, HTTP or image formats: uploads are stored unchanged, and only the worker decodes
them. The worker checks what needs the pixels or the model (matching sizes, transparency, partial images).
"""

from enum import StrEnum

import msgspec

from homeport.domain.content import Attachment

PIXELS_MAX = 3 * 1024 * 1024
"""Maximum pixels of a generated image: at four bytes each, uncompressed, it fits into one message of a worker."""
EDGE_MIN, EDGE_MAX = 64, 2048
"""Minimum and maximum edge of a generated image, in pixels."""
SOURCE_PIXELS_MAX = 16 * 1024 * 1024
"""Maximum pixels of an upload: a small file can claim to hold a huge image."""


class ImageFormat(StrEnum):
    """The file format of an image."""

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
    """An uploaded image to start from, optionally with a mask; the files exist until the request ends.

    Fully transparent pixels of the mask are regenerated; without a mask the image's own alpha is used. `is_strict`: the
    rules of the legacy API: a square PNG, and for an edit transparency in the mask or the image; otherwise PNG, JPEG or
    WebP, and an edit without transparency regenerates all of it. `field`: the caller's name for the image.
    """

    image: Attachment
    mask: Attachment | None = None
    is_strict: bool = True
    is_variation: bool = False
    field: str = "image"


class ImageOutput(msgspec.Struct, frozen=True, array_like=True):
    """The output format of an image. `quality` is 0 to 100, for JPEG and WebP; 100 is lossless in WebP."""

    format: ImageFormat = ImageFormat.PNG
    quality: int = 100


class ImageRequest(msgspec.Struct, frozen=True, tag="image_request"):
    """Asks for `n` images of one prompt, with the seeds `seed`, `seed + 1`, …; without a seed, random ones.

    `size` None: that of the source, or the model's default. `source` None: from the prompt alone. `steps`, `guidance`
    (classifier-free guidance scale; 1: none) and `strength` (0 to 1, how far from the source) None: the model's
    defaults. `effort` multiplies the model's default number of steps. `partial_images`: how many partial images are
    returned per image.
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
