"""Pictures are opened within limits that hold before anything is decoded."""

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from homeport.domain.errors import InvalidRequest
from homeport.engines.text.media import pictures
from homeport.engines.text.media.pictures import LOW_EDGE, MAX_SEEN_PIXELS, open_picture


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims this size and has hardly any pixels."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR" + size, b"IDAT" + zlib.compress(bytes(3)), b"IEND")
    parts = (struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def save(path: Path, size: tuple[int, int], **options: Any) -> Path:
    """Write a picture of one colour."""
    Image.new("RGB", size, "red").save(path, **options)
    return path


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (png_header(50_000, 50_000), "image_too_large"),
        (png_header(8_000, 8_000), "image_too_large"),
        (png_header(100, 100), "invalid_image"),
        (b"BM" + bytes(60), "invalid_image_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "invalid_image_format"),
    ],
)
def test_what_cannot_be_read_is_refused(data: bytes, code: str, tmp_path: Path) -> None:
    """Too many pixels, a file without them, and other formats are the caller's errors, which name the field."""
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(InvalidRequest) as caught:
        open_picture(path, "auto", "messages[0].content[1].image_url.url")
    assert (caught.value.code, caught.value.param) == (code, "messages[0].content[1].image_url.url")


def test_large_files_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with too many bytes is refused."""
    path = save(tmp_path / "a.png", (10, 10))
    monkeypatch.setattr(pictures, "MAX_BYTES", 20)
    with pytest.raises(InvalidRequest, match="more than 20 bytes"):
        open_picture(path, "auto", "x")


@pytest.mark.parametrize("suffix", ["png", "jpeg", "webp", "gif"])
def test_pictures_are_scaled_to_what_is_seen(suffix: str, tmp_path: Path) -> None:
    """A small picture keeps its size, a large one gets fewer pixels, and `low` bounds the longer edge."""
    small = open_picture(save(tmp_path / f"small.{suffix}", (600, 300)), "auto", "x")
    large = open_picture(save(tmp_path / f"large.{suffix}", (6000, 1500)), "high", "x")
    low = open_picture(tmp_path / f"small.{suffix}", "low", "x")
    assert (small.size, small.mode) == ((600, 300), "RGB")
    assert 0.99 * MAX_SEEN_PIXELS < large.width * large.height <= 1.01 * MAX_SEEN_PIXELS
    assert large.width == 4 * large.height
    assert low.size == (LOW_EDGE, LOW_EDGE // 2)


def test_pictures_are_upright_and_opaque(tmp_path: Path) -> None:
    """A camera's rotation is applied, also when the picture is scaled, and transparent pixels are white."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    turned = save(tmp_path / "turned.jpg", (1200, 300), exif=exif)
    assert open_picture(turned, "auto", "x").size == (300, 1200)
    assert open_picture(turned, "low", "x").size == (LOW_EDGE // 4, LOW_EDGE)
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert open_picture(tmp_path / "clear.png", "auto", "x").getpixel((0, 0)) == (255, 255, 255)
