"""Image files and pixels."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from homeport.domain.errors import InvalidRequest
from homeport.domain.images import ImageFormat, ImageOutput, ImageSize
from homeport.engines.images import pixels
from tests.samples import photos

RNG = np.random.default_rng(3)
NOISE = RNG.integers(0, 256, (48, 64, 3), np.uint8)


def written(path: Path, image: Image.Image, kind: str = "PNG") -> Path:
    """Write an image to a file."""
    image.save(path, kind)
    return path


def claiming(width: int, height: int) -> bytes:
    """Return a tiny PNG whose header claims a huge image."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_is_read(tmp_path: Path, mode: str) -> None:
    """Gray, palette, 1-bit and 16-bit images become 8 bits of color and alpha."""
    grey = np.repeat(np.repeat(np.array([[0, 255]], np.uint8), 4, 0), 4, 1)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    read = pixels.decode(written(tmp_path / "a.png", image), "image", is_strict=True)
    assert read.shape == (4, 8, 4)
    assert read.dtype == np.uint8
    assert (read[..., :3] == grey[..., None]).all()
    assert (read[..., 3] == 255).all()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "valid PNG"),
        (b"GIF89a" + bytes(50), "valid PNG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "valid PNG"),
        (claiming(5000, 5000), "5000x5000 pixels"),
        (claiming(100_000, 100_000), "100000x100000 pixels|valid PNG"),
        (claiming(64, 64), "valid PNG"),
    ],
)
def test_invalid_images_are_refused_by_name(tmp_path: Path, data: bytes, says: str) -> None:
    """Empty, foreign, damaged and truncated files, and small ones that claim to be huge, are refused."""
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(InvalidRequest, match=says) as refused:
        pixels.decode(path, "mask", is_strict=True)
    assert refused.value.param == "mask"


def test_png_is_required_only_if_strict(tmp_path: Path) -> None:
    """JPEG and WebP are accepted unless PNG is required; other formats never."""
    for kind in ("JPEG", "WEBP"):
        path = written(tmp_path / kind, Image.fromarray(NOISE), kind)
        assert pixels.decode(path, "image", is_strict=False).shape == (48, 64, 4)
        with pytest.raises(InvalidRequest):
            pixels.decode(path, "image", is_strict=True)
    with pytest.raises(InvalidRequest, match="PNG, JPEG or WebP"):
        pixels.decode(written(tmp_path / "a.bmp", Image.fromarray(NOISE), "BMP"), "image", is_strict=False)


def test_pixels_outside_the_mask_are_the_sources_own() -> None:
    """Pixels outside the mask are unchanged; if nothing stays transparent, there is no alpha."""
    source = np.dstack([NOISE, np.full((48, 64), 255, np.uint8)])
    mask = np.zeros((48, 64), np.bool_)
    mask[10:20, 5:50] = True
    source[mask, 3] = 0
    painted = 255 - NOISE
    result = pixels.composite(source, painted, mask)
    assert result.shape == (48, 64, 3)
    assert (result[mask] == painted[mask]).all()
    assert (result[~mask] == NOISE[~mask]).all()
    source[0, 0, 3] = 128
    assert pixels.composite(source, painted, mask).shape == (48, 64, 4)


@pytest.mark.parametrize("finish", [ImageOutput(), ImageOutput(ImageFormat.WEBP)])
def test_lossless_formats_keep_the_pixels(finish: ImageOutput) -> None:
    """PNG, and WebP at 100, are lossless."""
    with Image.open(io.BytesIO(pixels.encode(NOISE, finish))) as read:
        assert (np.asarray(read) == NOISE).all()


@pytest.mark.parametrize("format", [ImageFormat.JPEG, ImageFormat.WEBP])
def test_quality_changes_the_file_size(format: ImageFormat) -> None:
    """A lower quality gives a smaller file; 0 is allowed."""
    sizes = [len(pixels.encode(NOISE, ImageOutput(format, quality))) for quality in (0, 50, 95)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("format", list(ImageFormat))
def test_files_have_pixels_only(format: ImageFormat) -> None:
    """Files have no text, times, places or profiles."""
    data = pixels.encode(NOISE, ImageOutput(format))
    with Image.open(io.BytesIO(data)) as read:
        assert read.format == {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}[format]
        assert not read.getexif()
        assert not {"exif", "icc_profile", "xmp", "comment", "Software"} & read.info.keys()
    for mark in (b"tEXt", b"iTXt", b"eXIf", b"tIME", b"EXIF"):
        assert mark not in data


def test_transparency_becomes_white_in_jpeg() -> None:
    """A transparent image is put on white for JPEG."""
    clear = np.zeros((8, 8, 4), np.uint8)
    with Image.open(io.BytesIO(pixels.encode(clear, ImageOutput(ImageFormat.JPEG)))) as read:
        assert (np.asarray(read) == 255).all()


def test_enlarging_keeps_edges_sharp() -> None:
    """Enlarged four times, a black and white edge has no wide gray and no new color."""
    small = np.zeros((32, 32, 3), np.uint8)
    small[:, 16:] = 255
    large = pixels.enlarge(small, ImageSize(128, 96))
    assert large.shape == (96, 128, 3)
    row = large[40, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert ((row > 40) & (row < 215)).sum() <= 4


def test_masked_pixels_stay_masked_at_smaller_sizes() -> None:
    """A single masked pixel stays masked at any size."""
    mask = np.zeros((64, 64), np.bool_)
    mask[7, 9] = True
    assert pixels.mask_at(mask, ImageSize(8, 8)).sum() == 1
    assert pixels.mask_at(mask, ImageSize(8, 8))[0, 1]
    assert pixels.mask_at(mask, ImageSize(64, 64)) is mask


@pytest.mark.parametrize("orientation", photos.ORIENTATIONS)
def test_photos_are_read_upright(tmp_path: Path, orientation: int) -> None:
    """Whatever the camera's orientation, the pixels are upright."""
    path = tmp_path / "photo"
    path.write_bytes(photos.photo(orientation))
    read = pixels.decode(path, "image", is_strict=False)
    assert pixels.size_of(read) == ImageSize(photos.WIDTH, photos.HEIGHT)
    assert photos.corners(read) == list(photos.CORNERS)


@pytest.mark.parametrize("name", photos.oddities())
def test_unusual_files_are_read_at_their_size(tmp_path: Path, name: str) -> None:
    """CMYK, profiles, animations, several images in one and invalid metadata are read."""
    path = tmp_path / "odd"
    path.write_bytes(photos.oddities()[name])
    assert pixels.decode(path, "image", is_strict=False).shape == (photos.HEIGHT, photos.WIDTH, 4)
