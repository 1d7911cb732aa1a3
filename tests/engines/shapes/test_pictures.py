"""Pictures as the model reads them: what is cut away, and how the rest is framed."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from homeport.domain.errors import InvalidRequest
from homeport.domain.shapes import ShapeBackground
from homeport.engines.shapes.pictures import Pixels, prepare_picture

GRAY = 127 / 255
EDGE = 100
RED = (220, 30, 30)


def prepared(folder: Path, image: Image.Image, background: str = "auto", format: str = "PNG") -> Pixels:
    """Return a picture as the model reads it, as [edge, edge, 3]."""
    written = io.BytesIO()
    image.save(written, format, **({"quality": 95} if format == "JPEG" else {}))
    (folder / "picture").write_bytes(written.getvalue())
    pixels = prepare_picture(folder / "picture", EDGE, ShapeBackground(background), "image")
    assert pixels.shape == (1, 3, EDGE, EDGE)
    assert pixels.dtype == np.float32
    return np.asarray(pixels[0].transpose(1, 2, 0))


def on_color(color: tuple[int, int, int]) -> Image.Image:
    """A red rectangle of 40 x 20 on one color, off the middle, with a hole of that color."""
    image = Image.new("RGB", (200, 120), color)
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 30, 59, 49), fill=RED)
    draw.rectangle((35, 36, 44, 43), fill=color)
    return image


def on_nothing() -> Image.Image:
    """The same rectangle, without the hole, on a transparent background."""
    image = Image.new("RGBA", (200, 120), (0, 0, 255, 0))
    ImageDraw.Draw(image).rectangle((20, 30, 59, 49), fill=(*RED, 255))
    return image


def is_red(pixels: Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return which pixels are the rectangle's."""
    return np.asarray(np.abs(pixels * 255 - RED).max(axis=2) < 40)


@pytest.mark.parametrize("make", [on_nothing, lambda: on_color((250, 250, 250)), lambda: on_color((10, 80, 40))])
def test_the_thing_is_framed_on_gray(tmp_path: Path, make: Callable[[], Image.Image]) -> None:
    """A transparent background, and one of one color, is replaced by gray; the thing is 85 % wide and in the middle."""
    pixels = prepared(tmp_path, make())
    red = is_red(pixels)
    columns, rows = np.flatnonzero(red.any(axis=0)), np.flatnonzero(red.any(axis=1))
    assert columns[-1] - columns[0] + 1 == pytest.approx(0.85 * EDGE, abs=2)
    assert rows[-1] - rows[0] + 1 == pytest.approx(0.425 * EDGE, abs=2)
    assert columns[0] + columns[-1] == pytest.approx(EDGE - 1, abs=4)
    assert rows[0] + rows[-1] == pytest.approx(EDGE - 1, abs=4)
    assert pixels[:20] == pytest.approx(GRAY, abs=0.01)


def test_a_hole_is_not_background(tmp_path: Path) -> None:
    """What has the background's color but is enclosed by the thing stays."""
    pixels = prepared(tmp_path, on_color((250, 250, 250)))
    assert pixels[EDGE // 2, EDGE // 2] == pytest.approx(250 / 255, abs=0.02)


@pytest.mark.parametrize("background", ["auto", "keep"])
def test_a_background_that_cannot_be_told_is_kept(tmp_path: Path, background: str) -> None:
    """A picture with a border of many colors is padded to a square, not cut."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 100, 3), dtype=np.uint8))
    pixels = prepared(tmp_path, image, background)
    assert pixels[:24] == pytest.approx(GRAY, abs=0.01)
    assert pixels[40:60].std() > 0.1


def test_a_plain_background_may_be_kept(tmp_path: Path) -> None:
    """With `keep`, one color around the thing stays."""
    pixels = prepared(tmp_path, on_color((10, 80, 40)), "keep")
    assert pixels[EDGE // 2, -5] * 255 == pytest.approx((10, 80, 40), abs=3)


def test_a_photo_of_a_camera_is_upright(tmp_path: Path) -> None:
    """The rotation of the metadata is applied; JPEG's noise is no border of many colors."""
    image = on_color((250, 250, 250))
    exif = Image.Exif()
    exif[274] = 6
    written = io.BytesIO()
    image.save(written, "JPEG", quality=90, exif=exif)
    (tmp_path / "photo").write_bytes(written.getvalue())
    pixels = prepare_picture(tmp_path / "photo", EDGE, ShapeBackground.AUTO, "image")[0].transpose(1, 2, 0)
    red = is_red(pixels)
    assert red.any(axis=1).sum() > 1.5 * red.any(axis=0).sum()


def test_a_huge_picture_is_made_small(tmp_path: Path) -> None:
    """Thirty million pixels are read."""
    image = Image.new("RGB", (6000, 5000), (255, 255, 255))
    ImageDraw.Draw(image).rectangle((1000, 1000, 4999, 3999), fill=RED)
    assert is_red(prepared(tmp_path, image, format="JPEG")).mean() == pytest.approx(0.85 * 0.85 * 0.75, abs=0.02)


def test_more_pixels_than_the_limit_are_refused(tmp_path: Path) -> None:
    """An image of more than 50 million pixels is an error that names the field, before it is decoded."""
    written = io.BytesIO()
    Image.new("1", (20_000, 3_000)).save(written, "PNG")
    (tmp_path / "picture").write_bytes(written.getvalue())
    with pytest.raises(InvalidRequest) as refused:
        prepare_picture(tmp_path / "picture", EDGE, ShapeBackground.AUTO, "the_field")
    assert (refused.value.param, refused.value.code) == ("the_field", "image_too_large")
