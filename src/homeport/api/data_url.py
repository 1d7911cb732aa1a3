"""Images inside JSON, as data: URLs. Nothing remote is fetched, and images are not decoded here."""

import base64
import binascii
import re
from pathlib import Path

from homeport.domain.errors import InvalidRequest

_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?P<parameters>(;[^;,]*)*),", re.IGNORECASE)
_REMOTE = re.compile(r"https?:", re.IGNORECASE)
_BASE64 = ";base64"


def save_image_url(url: str, path: Path, param: str, max_bytes: int) -> None:
    """Write the image in a data: URL to a file that only this user can read. Raises InvalidRequest naming `param`."""
    data = decode_image_url(url, param, max_bytes)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(data)


def is_remote(url: str) -> bool:
    """Return whether a URL names a file of another server."""
    return _REMOTE.match(url) is not None


def check_image_url(url: str, param: str, max_bytes: int) -> int:
    """Check all of a data: URL but its base64, and return where that begins. Raises InvalidRequest naming `param`."""
    match = _DATA_URL.match(url)
    if match is None:
        if is_remote(url):
            raise InvalidRequest(
                f"Invalid '{param}': remote images are not fetched by this server; send the image itself as a data: "
                "URL (data:image/png;base64,...).",
                param=param,
                code="remote_image_refused",
            )
        raise InvalidRequest(f"Invalid '{param}': expected a data: URL.", param=param, code="invalid_image_url")
    if not match["type"].lower().startswith("image/") or not match["parameters"].lower().endswith(_BASE64):
        raise InvalidRequest(
            f"Invalid '{param}': expected a data: URL of an image in base64 (data:image/png;base64,...).",
            param=param,
            code="invalid_image_url",
        )
    check_encoded_size(len(url) - match.end(), param, max_bytes)
    return match.end()


def check_encoded_size(n_chars: int, param: str, max_bytes: int) -> None:
    """Check the size of an image by the number of characters of its base64. Raises InvalidRequest naming `param`."""
    if n_chars * 3 // 4 > max_bytes + 3:
        raise InvalidRequest(
            f"Invalid '{param}': the image is over the limit of {max_bytes} bytes.",
            param=param,
            code="image_too_large",
        )


def decode_image_url(url: str, param: str, max_bytes: int) -> bytes:
    """Return the bytes of an image in a data: URL. Raises InvalidRequest naming `param`."""
    return decode_image(url[check_image_url(url, param, max_bytes) :], param)


def decode_image(encoded: str, param: str) -> bytes:
    """Return the bytes of an image in base64. Raises InvalidRequest naming `param`."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"Invalid '{param}': this is not base64.", param=param, code="invalid_base64") from error
    if not data:
        raise InvalidRequest(f"Invalid '{param}': the image is empty.", param=param, code="invalid_image")
    return data
