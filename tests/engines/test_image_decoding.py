"""Images are turned upright by their metadata."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from homeport.domain.errors import InvalidRequest
from homeport.engines import image_decoding
from tests.samples import photos


def seen(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the notes that are broken on purpose
        opened = Image.open(io.BytesIO(data))
    with opened:
        return image_decoding.upright_image(opened).convert("RGB")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", photos.ORIENTATIONS)
def test_photos_are_turned_upright(orientation: int, kind: str) -> None:
    """All eight orientations, in all formats that store them, give the same image."""
    image = seen(photos.photo(orientation, kind))
    assert image.size == (photos.WIDTH, photos.HEIGHT)
    assert photos.corners(np.asarray(image)) == list(photos.CORNERS)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_is_turned(mode: str) -> None:
    """Gray, palette, CMYK and 16-bit images are turned like any other."""
    upright = photos.upright().convert("L")
    wide = Image.fromarray(np.asarray(upright).astype(np.uint16) * 257)
    image = wide if mode == wide.mode else upright.convert(mode)
    turned = seen(photos.photo(6, "JPEG" if mode == "CMYK" else "PNG", image))
    assert turned.size == (photos.WIDTH, photos.HEIGHT)
    ends = np.abs(np.asarray(turned).astype(int) - np.asarray(upright.convert("RGB")))
    assert mode == "1" or ends.max() < 12


@pytest.mark.parametrize("name", photos.oddities())
def test_unusual_files_have_their_size(name: str) -> None:
    """Of palettes, profiles, several images in one and invalid metadata, the first image has its full size."""
    assert seen(photos.oddities()[name]).size == (photos.WIDTH, photos.HEIGHT)


@pytest.mark.parametrize("read", [image_decoding.decode_rgb, image_decoding.count_pixels])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"text", "invalid_image_format"),
        (photos.bomb(8_000), "image_too_large"),
        (photos.bomb(50_000), "image_too_large"),
    ],
)
def test_wrong_files_name_their_field(
    tmp_path: Path, read: Callable[[Path, str], object], data: bytes, code: str
) -> None:
    """What is no image, or has too many pixels, is an error by its header already."""
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InvalidRequest) as caught:
        read(tmp_path / "file", "input[2].image")
    assert (caught.value.code, caught.value.param) == (code, "input[2].image")


def test_headers_suffice_to_count_pixels(tmp_path: Path) -> None:
    """A truncated image has the size that its header says; decoding it is an error."""
    whole = photos.photo(1, "PNG", Image.effect_noise((90, 40), 99).convert("RGB"))
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    assert image_decoding.count_pixels(tmp_path / "cut", "image") == 3600
    with pytest.raises(InvalidRequest, match="damaged or incomplete"):
        image_decoding.decode_rgb(tmp_path / "cut", "image")


@pytest.mark.parametrize("orientation", photos.ORIENTATIONS)
def test_decoded_images_are_upright(tmp_path: Path, orientation: int) -> None:
    """The pixels are those that a viewer shows."""
    (tmp_path / "photo").write_bytes(photos.photo(orientation, "PNG"))
    assert photos.corners(np.asarray(image_decoding.decode_rgb(tmp_path / "photo", "image"))) == list(photos.CORNERS)


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    """What shows through is white, as on a page."""
    Image.new("RGBA", (2, 1), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert image_decoding.decode_rgb(tmp_path / "clear.png", "image").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_thumbnails_fit_and_are_upright(tmp_path: Path, kind: str) -> None:
    """A thumbnail keeps the shape of the upright image; its pixels are those of its PNG."""
    (tmp_path / "photo").write_bytes(photos.photo(6, kind))
    made = image_decoding.make_thumbnail(tmp_path / "photo", 24, 24)
    assert (made.width, made.height) == (24, 12)
    png = np.asarray(Image.open(io.BytesIO(made.png)))
    assert made.pixels == png.tobytes()
    assert photos.corners(png) == list(photos.CORNERS)
    (tmp_path / "text").write_bytes(b"text")
    with pytest.raises(InvalidRequest):
        image_decoding.make_thumbnail(tmp_path / "text", 24, 24)
