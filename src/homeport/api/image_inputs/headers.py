"""The formats and sizes of images, read from the start of a file. Decodes no pixel, and knows nothing of requests."""

import struct
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

FORMATS = ("PNG", "JPEG", "WebP", "GIF")
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_GIF = (b"GIF87a", b"GIF89a")
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of a frame's header, which holds the size."""
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""The markers that no length follows."""
_MAX_SEGMENTS = 10_000


class ImageHeader(NamedTuple):
    """What the header of an image says. Sizes are in pixels."""

    format: str
    width: int
    height: int


def read_header(file: BinaryIO) -> ImageHeader | None:
    """Read the header of an image from the start of a file; None: it has none of the `FORMATS`.

    Raises ValueError if the header is incomplete or damaged.
    """
    file.seek(0)
    start = file.read(16)
    for name, is_format, read_size in _READERS:
        if is_format(start):
            file.seek(0)
            try:
                width, height = read_size(file)
            except (struct.error, IndexError):
                raise ValueError("the file ends in its header") from None
            if not (width and height):
                raise ValueError("the image has no pixels")
            return ImageHeader(name, width, height)
    return None


def is_image(start: bytes) -> bool:
    """Return whether a file that begins with these bytes, at least 16, has one of the `FORMATS`."""
    return any(is_format(start) for _, is_format, _ in _READERS)


def _png(file: BinaryIO) -> tuple[int, int]:
    head = file.read(24)
    if head[12:16] != b"IHDR":
        raise ValueError("the file does not begin with its header")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def _gif(file: BinaryIO) -> tuple[int, int]:
    width, height = struct.unpack("<HH", file.read(10)[6:])
    return width, height


def _jpeg(file: BinaryIO) -> tuple[int, int]:
    file.seek(2)
    for _ in range(_MAX_SEGMENTS):
        marker = _jpeg_marker(file)
        if marker in _JPEG_ALONE:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">xHH", file.read(5))
            return width, height
        if length < 2 or marker in (0xD9, 0xDA):
            break
        file.seek(length - 2, 1)
    raise ValueError("the file has no header of a frame")


def _jpeg_marker(file: BinaryIO) -> int:
    """Return the next marker, which any number of filling bytes may precede."""
    if file.read(1) != b"\xff":
        raise ValueError("the file is damaged")
    for _ in range(_MAX_SEGMENTS):
        byte = file.read(1)[0]
        if byte != 0xFF:
            return byte
    raise ValueError("the file is damaged")


def _webp(file: BinaryIO) -> tuple[int, int]:
    head = file.read(30)
    if len(head) < 30:
        raise ValueError("the file ends in its header")
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("the file is damaged")


_READERS: tuple[tuple[str, Callable[[bytes], bool], Callable[[BinaryIO], tuple[int, int]]], ...] = (
    ("PNG", lambda start: start.startswith(_PNG), _png),
    ("JPEG", lambda start: start.startswith(_JPEG), _jpeg),
    ("WebP", lambda start: start[:4] == b"RIFF" and start[8:12] == b"WEBP", _webp),
    ("GIF", lambda start: start.startswith(_GIF), _gif),
)
