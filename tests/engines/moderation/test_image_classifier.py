"""Harmless images, scored by the real network: without an explicit image, only low scores can be tested."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.engines.moderation import image_classifier
from homeport.engines.moderation.image_classifier import NsfwClassifier
from tests.samples import photos


@pytest.fixture(scope="module")
def classifier(moderation: dict[str, Path]) -> NsfwClassifier:
    return NsfwClassifier(moderation["images"], 1)


def landscape() -> Image.Image:
    """Draw sky above grass, with some noise."""
    rows = np.zeros((240, 320, 3), np.uint8)
    rows[:120], rows[120:] = (90, 150, 230), (40, 140, 50)
    return Image.fromarray(rows + np.random.default_rng(0).integers(0, 20, rows.shape, np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_harmless_images_score_low(classifier: NsfwClassifier, tmp_path: Path, kind: str, mode: str) -> None:
    """A landscape in any format and color mode scores far below the threshold."""
    file = tmp_path / "image"
    landscape().convert("RGB" if kind == "JPEG" and mode in ("P", "RGBA") else mode).save(file, kind)
    assert classifier.judge(file, "input") < 0.2


def cut_off() -> bytes:
    out = io.BytesIO()
    landscape().save(out, "JPEG")
    return out.getvalue()[:2000]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"not an image", "invalid_image_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "invalid_image_format"),
        (photos.bomb(8_000), "image_too_large"),
        (photos.bomb(30_000), "image_too_large"),
        (cut_off(), "invalid_image"),
    ],
)
def test_invalid_images_are_refused(classifier: NsfwClassifier, tmp_path: Path, data: bytes, code: str) -> None:
    """A file that is not an image, too large or truncated is an invalid request that names the field."""
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InvalidRequest) as caught:
        classifier.judge(tmp_path / "file", "input[1].image_url.url")
    assert (caught.value.code, caught.value.param) == (code, "input[1].image_url.url")


def test_scales_meet_at_the_threshold() -> None:
    """An image at its own threshold gets the text's; order is kept, and 0 and 1 stay."""
    assert [image_classifier.rescale_probability(p, 0.4) for p in (0, image_classifier.THRESHOLD, 1)] == pytest.approx(
        [0, 0.4, 1]
    )
    assert (
        image_classifier.rescale_probability(0.5, 0.4)
        < image_classifier.rescale_probability(0.6, 0.4)
        < image_classifier.rescale_probability(0.9, 0.4)
    )


def test_another_file_is_refused(tmp_path: Path) -> None:
    """A file that is not ONNX does not load, and is named."""
    (tmp_path / "odd.onnx").write_bytes(b"odd")
    with pytest.raises(Unavailable, match=r"odd\.onnx"):
        NsfwClassifier(tmp_path / "odd.onnx", 1)


def test_photos_are_scored_upright(classifier: NsfwClassifier, tmp_path: Path) -> None:
    """A photo has the score of the upright image, whatever the camera's orientation."""
    scores = []
    for orientation in photos.ORIENTATIONS:
        file = tmp_path / str(orientation)
        file.write_bytes(photos.photo(orientation, "PNG", landscape()))
        scores.append(classifier.judge(file, "input"))
    assert len(set(scores)) == 1


@pytest.mark.parametrize("name", photos.oddities())
def test_unusual_files_are_scored(classifier: NsfwClassifier, tmp_path: Path, name: str) -> None:
    """16-bit gray, CMYK, profiles and invalid metadata are scored."""
    file = tmp_path / "odd"
    file.write_bytes(photos.oddities()[name])
    assert 0 <= classifier.judge(file, "input") <= 1


def test_16_bit_gray_is_scored_like_8_bit(classifier: NsfwClassifier, tmp_path: Path) -> None:
    """16-bit gray is scored like 8-bit gray, not as white."""
    grey = np.asarray(landscape().convert("L"))
    Image.fromarray(grey).save(tmp_path / "8", "PNG")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16", "PNG")
    assert classifier.judge(tmp_path / "8", "input") == classifier.judge(tmp_path / "16", "input")
