"""What an image must be: one of the served formats, and not too large. Knows nothing of where it comes from."""

from typing import BinaryIO

from homeport.api.image_inputs.headers import FORMATS, read_header
from homeport.domain.errors import InvalidRequest

MAX_PIXELS = 50_000_000


def check_image(file: BinaryIO, param: str) -> None:
    """Check the format and the size of an image without decoding it. Raises InvalidRequest naming `param`."""
    try:
        header = read_header(file)
    except ValueError as error:
        raise InvalidRequest(
            f"Invalid '{param}': the image is damaged or incomplete: {error}.", param=param, code="invalid_image"
        ) from error
    if header is None:
        raise InvalidRequest(
            f"Invalid '{param}': the file is not an image of a supported format ({', '.join(FORMATS)}).",
            param=param,
            code="invalid_image_format",
        )
    if header.width * header.height > MAX_PIXELS:
        raise InvalidRequest(
            f"Invalid '{param}': the image has {header.width} x {header.height} pixels, and at most {MAX_PIXELS} are "
            "allowed.",
            param=param,
            code="image_too_large",
        )


def too_large(param: str, max_bytes: int) -> InvalidRequest:
    """Make the error for an image with more than `max_bytes`."""
    return InvalidRequest(
        f"Invalid '{param}': the image is over the limit of {max_bytes} bytes.",
        param=param,
        code="image_too_large",
    )
