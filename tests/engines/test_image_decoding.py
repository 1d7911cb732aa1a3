"""Images are turned upright by their metadata."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

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
