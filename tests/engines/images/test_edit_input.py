"""What edits and variations start from, and what is refused once pixels are looked at."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.content import Attachment
from homeport.domain.errors import InvalidRequest
from homeport.domain.images import ImageRequest, ImageSize, ImageSource
from homeport.engines.images.edit_input import EditInput
from tests import photos

OWN = ImageSize(512, 512)


def png(path: Path, width: int = 64, height: int = 64, hole: slice | None = None) -> Path:
    """A picture of noise; `hole`: rows that are fully transparent."""
    made: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 256, (height, width, 4), np.uint8)
    made[..., 3] = 255
    if hole:
        made[hole, :, 3] = 0
    Image.fromarray(made).save(path)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return png(tmp_path / "image.png")


@pytest.fixture
def holed(tmp_path: Path) -> Path:
    return png(tmp_path / "holed.png", hole=slice(0, 32))


def scene(source: ImageSource, size: ImageSize | None = None) -> EditInput:
    """The scene of an edit."""
    return EditInput.from_request(ImageRequest("a hat", size=size, source=source), OWN)


def test_a_prompt_alone_has_the_models_own_size() -> None:
    """Without a size; with one, that."""
    assert EditInput.from_request(ImageRequest("x"), OWN) == EditInput(OWN)
    assert EditInput.from_request(ImageRequest("x", size=ImageSize(64, 128)), OWN).size == ImageSize(64, 128)


def test_transparent_pixels_of_the_mask_are_the_hole(image: Path, holed: Path) -> None:
    """And outside it the source's own pixels come back exactly, at equal size."""
    made = scene(ImageSource(Attachment(image), Attachment(holed)))
    assert made.mask is not None
    assert made.mask[:32].all()
    assert not made.mask[32:].any()
    painted = np.full((64, 64, 3), 9, np.uint8)
    result = made.composite(painted)
    with Image.open(image) as source:
        assert (result[32:] == np.asarray(source)[32:, :, :3]).all()
    assert (result[:32] == 9).all()


def test_without_a_mask_the_images_own_alpha_counts(holed: Path) -> None:
    """As OpenAI documents it."""
    made = scene(ImageSource(Attachment(holed)))
    assert made.mask is not None
    assert made.mask.sum() == 32 * 64


def test_half_transparent_pixels_are_kept(tmp_path: Path) -> None:
    """Only those with alpha 0 are repainted."""
    made = np.full((64, 64, 4), 128, np.uint8)
    made[0, 0, 3] = 0
    Image.fromarray(made).save(tmp_path / "a.png")
    found = scene(ImageSource(Attachment(tmp_path / "a.png"))).mask
    assert found is not None
    assert found.sum() == 1


def test_todays_names_repaint_all_where_nothing_is_transparent(image: Path) -> None:
    """Under 2023's names that is a mistake."""
    assert scene(ImageSource(Attachment(image), is_strict=False)).mask is None
    with pytest.raises(InvalidRequest, match="no transparent pixels") as refused:
        scene(ImageSource(Attachment(image)))
    assert (refused.value.param, refused.value.code) == ("image", "invalid_image")


def test_a_mask_without_transparency_is_refused(image: Path, tmp_path: Path) -> None:
    """Whoever sends a mask wants something to be repainted."""
    mask = png(tmp_path / "mask.png")
    with pytest.raises(InvalidRequest, match="mask has no transparent pixels") as refused:
        scene(ImageSource(Attachment(image), Attachment(mask), is_strict=False))
    assert refused.value.param == "mask"


def test_a_mask_of_another_size_is_refused_with_both(image: Path, tmp_path: Path) -> None:
    """The message has both sizes."""
    mask = png(tmp_path / "mask.png", 64, 32, slice(0, 8))
    with pytest.raises(InvalidRequest, match=r"64x64 pixels, the mask 64x32") as refused:
        scene(ImageSource(Attachment(image), Attachment(mask)))
    assert refused.value.param == "mask"


def test_images_that_are_not_square_are_for_todays_names(tmp_path: Path) -> None:
    """Under 2023's names a 400; the field is what the caller calls it."""
    wide = png(tmp_path / "wide.png", 128, 64, slice(0, 8))
    with pytest.raises(InvalidRequest, match="square"):
        scene(ImageSource(Attachment(wide)))
    with pytest.raises(InvalidRequest) as refused:
        scene(ImageSource(Attachment(wide), field="images"))
    assert refused.value.param == "images"
    assert scene(ImageSource(Attachment(wide), is_strict=False)).size == ImageSize(128, 64)


def test_another_size_keeps_proportions(holed: Path) -> None:
    """Source and mask are brought to the answer's size; one that would distort them is refused."""
    made = scene(ImageSource(Attachment(holed)), ImageSize(128, 128))
    assert made.source is not None
    assert made.mask is not None
    assert (made.source.shape, made.mask.shape) == ((128, 128, 4), (128, 128))
    assert made.mask[:64].all()
    with pytest.raises(InvalidRequest, match="proportions") as refused:
        scene(ImageSource(Attachment(holed)), ImageSize(128, 256))
    assert refused.value.param == "size"


def test_an_image_too_small_to_be_an_answer_needs_a_size(tmp_path: Path) -> None:
    """Below 64 pixels, or above what an answer may have."""
    small = png(tmp_path / "small.png", 32, 32, slice(0, 8))
    with pytest.raises(InvalidRequest, match="give a size"):
        scene(ImageSource(Attachment(small)))
    assert scene(ImageSource(Attachment(small)), ImageSize(64, 64)).size == ImageSize(64, 64)


def test_a_variation_ignores_transparency(holed: Path) -> None:
    """All of it is painted again."""
    made = EditInput.from_request(ImageRequest("", source=ImageSource(Attachment(holed), is_variation=True)), OWN)
    assert made.mask is None
    start, mask = made.at_size(ImageSize(128, 128))
    assert start is not None
    assert (start.shape, mask) == ((128, 128, 3), None)
    assert (made.composite(np.zeros((64, 64, 3), np.uint8)) == 0).all()


def test_a_mask_for_a_photo_is_as_one_sees_it_or_as_it_is_stored(tmp_path: Path) -> None:
    """A mask of the upright photo's size lies on it as it is; one of the stored pixels' size is turned with them."""
    photo = tmp_path / "photo"
    photo.write_bytes(photos.photo(6, "PNG"))
    seen = png(tmp_path / "seen.png", photos.WIDTH, photos.HEIGHT, slice(0, 8))
    with Image.open(seen) as mask:
        photos.stored(6, mask).save(tmp_path / "stored.png")
    for mask_file in (seen, tmp_path / "stored.png"):
        made = scene(ImageSource(Attachment(photo), Attachment(mask_file), is_strict=False))
        assert made.size == ImageSize(photos.WIDTH, photos.HEIGHT)
        assert made.mask is not None
        assert made.mask[:8].all()
        assert not made.mask[8:].any()
    with pytest.raises(InvalidRequest, match="same dimensions"):
        scene(ImageSource(Attachment(seen), Attachment(tmp_path / "stored.png"), is_strict=False))
