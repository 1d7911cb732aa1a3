"""Sources of edits and variations, and what is refused once pixels are decoded."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.content import Attachment
from homeport.domain.errors import InvalidRequest
from homeport.domain.images import ImageRequest, ImageSize, ImageSource
from homeport.engines.images.edit_input import EditInput
from tests.samples import photos

OWN = ImageSize(512, 512)


def png(path: Path, width: int = 64, height: int = 64, transparent: slice | None = None) -> Path:
    """Write an image of noise; `transparent`: rows that are fully transparent."""
    array: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 256, (height, width, 4), np.uint8)
    array[..., 3] = 255
    if transparent:
        array[transparent, :, 3] = 0
    Image.fromarray(array).save(path)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return png(tmp_path / "image.png")


@pytest.fixture
def half_transparent(tmp_path: Path) -> Path:
    return png(tmp_path / "half_transparent.png", transparent=slice(0, 32))


def edit_input(source: ImageSource, size: ImageSize | None = None) -> EditInput:
    """Return the input of an edit."""
    return EditInput.from_request(ImageRequest("a hat", size=size, source=source), OWN)


def test_a_prompt_alone_has_the_models_own_size() -> None:
    """Without a size it is the model's; with one, that."""
    assert EditInput.from_request(ImageRequest("x"), OWN) == EditInput(OWN)
    assert EditInput.from_request(ImageRequest("x", size=ImageSize(64, 128)), OWN).size == ImageSize(64, 128)


def test_transparent_pixels_of_the_mask_are_edited(image: Path, half_transparent: Path) -> None:
    """Outside the mask the source's own pixels are returned exactly, at equal size."""
    edit = edit_input(ImageSource(Attachment(image), Attachment(half_transparent)))
    assert edit.mask is not None
    assert edit.mask[:32].all()
    assert not edit.mask[32:].any()
    generated = np.full((64, 64, 3), 9, np.uint8)
    result = edit.composite(generated)
    with Image.open(image) as source:
        assert (result[32:] == np.asarray(source)[32:, :, :3]).all()
    assert (result[:32] == 9).all()


def test_without_a_mask_the_images_own_alpha_counts(half_transparent: Path) -> None:
    """Without a mask the image's alpha is used, as OpenAI documents."""
    edit = edit_input(ImageSource(Attachment(half_transparent)))
    assert edit.mask is not None
    assert edit.mask.sum() == 32 * 64


def test_half_transparent_pixels_are_kept(tmp_path: Path) -> None:
    """Only pixels with alpha 0 are edited."""
    edit = np.full((64, 64, 4), 128, np.uint8)
    edit[0, 0, 3] = 0
    Image.fromarray(edit).save(tmp_path / "a.png")
    found = edit_input(ImageSource(Attachment(tmp_path / "a.png"))).mask
    assert found is not None
    assert found.sum() == 1


def test_the_current_api_regenerates_opaque_images(image: Path) -> None:
    """The current API regenerates an opaque image; in the legacy API it is an error."""
    assert edit_input(ImageSource(Attachment(image), is_strict=False)).mask is None
    with pytest.raises(InvalidRequest, match="no transparent pixels") as refused:
        edit_input(ImageSource(Attachment(image)))
    assert (refused.value.param, refused.value.code) == ("image", "invalid_image")


def test_a_mask_without_transparency_is_refused(image: Path, tmp_path: Path) -> None:
    """A mask without transparent pixels is an error."""
    mask = png(tmp_path / "mask.png")
    with pytest.raises(InvalidRequest, match="mask has no transparent pixels") as refused:
        edit_input(ImageSource(Attachment(image), Attachment(mask), is_strict=False))
    assert refused.value.param == "mask"


def test_a_mask_of_another_size_is_refused_with_both_sizes(image: Path, tmp_path: Path) -> None:
    """The error has both sizes."""
    mask = png(tmp_path / "mask.png", 64, 32, slice(0, 8))
    with pytest.raises(InvalidRequest, match=r"64x64 pixels, the mask 64x32") as refused:
        edit_input(ImageSource(Attachment(image), Attachment(mask)))
    assert refused.value.param == "mask"


def test_only_the_current_api_accepts_images_that_are_not_square(tmp_path: Path) -> None:
    """In the legacy API they are a 400 that names the caller's field."""
    wide = png(tmp_path / "wide.png", 128, 64, slice(0, 8))
    with pytest.raises(InvalidRequest, match="square"):
        edit_input(ImageSource(Attachment(wide)))
    with pytest.raises(InvalidRequest) as refused:
        edit_input(ImageSource(Attachment(wide), field="images"))
    assert refused.value.param == "images"
    assert edit_input(ImageSource(Attachment(wide), is_strict=False)).size == ImageSize(128, 64)


def test_another_size_keeps_the_aspect_ratio(half_transparent: Path) -> None:
    """Source and mask are resized to the output size; one that would distort them is refused."""
    edit = edit_input(ImageSource(Attachment(half_transparent)), ImageSize(128, 128))
    assert edit.source is not None
    assert edit.mask is not None
    assert (edit.source.shape, edit.mask.shape) == ((128, 128, 4), (128, 128))
    assert edit.mask[:64].all()
    with pytest.raises(InvalidRequest, match="aspect ratio") as refused:
        edit_input(ImageSource(Attachment(half_transparent)), ImageSize(128, 256))
    assert refused.value.param == "size"


def test_an_image_of_an_unsupported_size_needs_a_size(tmp_path: Path) -> None:
    """Below 64 pixels, or above the maximum, a size is required."""
    small = png(tmp_path / "small.png", 32, 32, slice(0, 8))
    with pytest.raises(InvalidRequest, match="set 'size'"):
        edit_input(ImageSource(Attachment(small)))
    assert edit_input(ImageSource(Attachment(small)), ImageSize(64, 64)).size == ImageSize(64, 64)


def test_a_variation_ignores_transparency(half_transparent: Path) -> None:
    """A variation regenerates the whole image."""
    edit = EditInput.from_request(
        ImageRequest("", source=ImageSource(Attachment(half_transparent), is_variation=True)), OWN
    )
    assert edit.mask is None
    start, mask = edit.at_size(ImageSize(128, 128))
    assert start is not None
    assert (start.shape, mask) == ((128, 128, 3), None)
    assert (edit.composite(np.zeros((64, 64, 3), np.uint8)) == 0).all()


def test_a_mask_for_a_photo_is_upright_or_as_stored(tmp_path: Path) -> None:
    """A mask of the upright size is used as it is; one of the stored size is turned with the photo."""
    photo = tmp_path / "photo"
    photo.write_bytes(photos.photo(6, "PNG"))
    seen = png(tmp_path / "seen.png", photos.WIDTH, photos.HEIGHT, slice(0, 8))
    with Image.open(seen) as mask:
        photos.stored(6, mask).save(tmp_path / "stored.png")
    for mask_file in (seen, tmp_path / "stored.png"):
        edit = edit_input(ImageSource(Attachment(photo), Attachment(mask_file), is_strict=False))
        assert edit.size == ImageSize(photos.WIDTH, photos.HEIGHT)
        assert edit.mask is not None
        assert edit.mask[:8].all()
        assert not edit.mask[8:].any()
    with pytest.raises(InvalidRequest, match="same dimensions"):
        edit_input(ImageSource(Attachment(seen), Attachment(tmp_path / "stored.png"), is_strict=False))
