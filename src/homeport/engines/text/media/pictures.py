"""Opens picture files for the model: with limits checked before anything is decoded, upright, no larger than is seen.

Runs in the child process only. Knows nothing of models.
"""

from pathlib import Path

from PIL import Image

from homeport.domain.errors import InvalidRequest
from homeport.engines import image_decoding

MAX_BYTES = 50_000_000
MAX_SEEN_PIXELS = 1 << 22
"""Larger pictures are scaled down to this: no projector reads more, and Pillow scales better than they do."""

LOW_EDGE = 512
"""Pixels of the longer edge with `detail: low`."""

_LOW = "low"


def open_picture(file: Path, detail: str, param: str) -> Image.Image:
    """Return a file's first frame as RGB, upright, on white, scaled down as `detail` says.

    Raises InvalidRequest (`param`) for a file that is too large, damaged, or of another format.
    """
    if file.stat().st_size > MAX_BYTES:
        raise InvalidRequest(
            f"Invalid '{param}': the file has more than {MAX_BYTES} bytes, which is the limit.",
            param=param,
            code="image_too_large",
        )
    with image_decoding.opened_image(file, param) as opened:
        return image_decoding.flatten(_scale_down(opened, detail))


def _scale_down(opened: Image.Image, detail: str) -> Image.Image:
    """Return the picture with at most as many pixels as are seen; a JPEG is decoded at a lower resolution at once."""
    scale = min(1.0, (MAX_SEEN_PIXELS / max(1, opened.width * opened.height)) ** 0.5)
    if detail == _LOW:
        scale = min(scale, LOW_EDGE / max(opened.size))
    if scale == 1.0:
        return image_decoding.upright_image(opened)
    size = (max(1, round(opened.width * scale)), max(1, round(opened.height * scale)))
    opened.draft(None, (2 * size[0], 2 * size[1]))
    upright = image_decoding.upright_image(opened)
    if (upright.width > upright.height) != (size[0] > size[1]):
        size = size[1], size[0]
    return image_decoding.flatten(upright).resize(size, Image.Resampling.LANCZOS)
