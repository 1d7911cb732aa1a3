"""Headers of images: formats, sizes, and files that are none."""

import io
import struct
import zlib

import pytest
from PIL import Image

from homeport.api.image_inputs.headers import FORMATS, ImageHeader, read_header

SIZE = (37, 301)


def encoded(format: str, **options: object) -> bytes:
    """Return an image in a format of Pillow."""
    data = io.BytesIO()
    Image.new("RGBA" if options.pop("alpha", False) else "RGB", SIZE, "red").save(data, format, **options)
    return data.getvalue()


FILES = {
    "PNG": [encoded("PNG")],
    "JPEG": [encoded("JPEG"), encoded("JPEG", progressive=True), encoded("JPEG", exif=b"Exif\0\0" + bytes(60_000))],
    "WebP": [encoded("WEBP"), encoded("WEBP", lossless=True), encoded("WEBP", alpha=True, exif=b"Exif\0\0")],
    "GIF": [encoded("GIF")],
}


@pytest.mark.parametrize("format", FORMATS)
def test_the_size_is_read_of_every_format(format: str) -> None:
    """Each variant of a format tells its size."""
    for data in FILES[format]:
        assert read_header(io.BytesIO(data)) == ImageHeader(format, *SIZE)


def test_a_huge_image_tells_its_size() -> None:
    """The header of an image of 50,000 by 50,000 pixels is read without its pixels."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert read_header(io.BytesIO(data)) == ImageHeader("PNG", 50_000, 50_000)


@pytest.mark.parametrize("data", [b"", b"pixels", b"<svg/>", encoded("BMP"), encoded("TIFF"), b"%PDF-1.7", b"RIFF"])
def test_other_files_have_no_header(data: bytes) -> None:
    """A file of another format is no image."""
    assert read_header(io.BytesIO(data)) is None


@pytest.mark.parametrize("format", FORMATS)
def test_every_cut_of_a_header_is_an_error(format: str) -> None:
    """A file that ends in its header, or is damaged there, raises ValueError and nothing else."""
    for data in FILES[format]:
        for size in range(12, 30):
            try:
                found = read_header(io.BytesIO(data[:size]))
            except ValueError:
                continue
            assert found == ImageHeader(format, *SIZE)
        with pytest.raises(ValueError, match=r"the file|the image"):
            read_header(io.BytesIO(data[: 6 if format == "GIF" else 12] + bytes(40)))
