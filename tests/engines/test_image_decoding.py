"""Pictures turned upright by what their cameras noted."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from homeport.engines import image_decoding
from tests import photos


def seen(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the notes that are broken on purpose
        opened = Image.open(io.BytesIO(data))
    with opened:
        return image_decoding.upright_image(opened).convert("RGB")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", photos.ORIENTATIONS)
def test_photos_are_turned_upright(orientation: int, kind: str) -> None:
    """All eight ways to hold a camera, in all formats that note them, give the same picture."""
    picture = seen(photos.photo(orientation, kind))
    assert picture.size == (photos.WIDTH, photos.HEIGHT)
    assert photos.corners(np.asarray(picture)) == list(photos.CORNERS)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_is_turned(mode: str) -> None:
    """Grey, palettes, print colours and 16 bits are turned like any other."""
    upright = photos.upright().convert("L")
    wide = Image.fromarray(np.asarray(upright).astype(np.uint16) * 257)
    picture = wide if mode == wide.mode else upright.convert(mode)
    turned = seen(photos.photo(6, "JPEG" if mode == "CMYK" else "PNG", picture))
    assert turned.size == (photos.WIDTH, photos.HEIGHT)
    ends = np.abs(np.asarray(turned).astype(int) - np.asarray(upright.convert("RGB")))
    assert mode == "1" or ends.max() < 12


@pytest.mark.parametrize("name", photos.oddities())
def test_odd_files_are_seen_at_their_size(name: str) -> None:
    """Palettes, profiles, several pictures in one and broken notes: the first picture, as large as it is."""
    assert seen(photos.oddities()[name]).size == (photos.WIDTH, photos.HEIGHT)
