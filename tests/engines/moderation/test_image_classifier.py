"""Pictures made here, judged by the real network; no explicit one is at hand, so only low scores can be held."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.engines.moderation import image_classifier
from homeport.engines.moderation.image_classifier import NsfwClassifier
from tests import photos


@pytest.fixture(scope="module")
def classifier(moderation: dict[str, Path]) -> NsfwClassifier:
    return NsfwClassifier(moderation["images"], 1)


def landscape() -> Image.Image:
    """Sky above grass, with some noise."""
    rows = np.zeros((240, 320, 3), np.uint8)
    rows[:120], rows[120:] = (90, 150, 230), (40, 140, 50)
    return Image.fromarray(rows + np.random.default_rng(0).integers(0, 20, rows.shape, np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_harmless_pictures_score_low(classifier: NsfwClassifier, tmp_path: Path, kind: str, mode: str) -> None:
    """A landscape in any format and colour mode is far below the threshold."""
    file = tmp_path / "picture"
    landscape().convert("RGB" if kind == "JPEG" and mode in ("P", "RGBA") else mode).save(file, kind)
    assert classifier.judge(file, "input") < 0.2


def bomb(side: int) -> bytes:
    """The beginning of a PNG that says it is so many pixels high and wide."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    checked = struct.pack(">I", len(head)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + checked + struct.pack(">I", 9) + b"IDAT" + bytes(99)


def cut_off() -> bytes:
    out = io.BytesIO()
    landscape().save(out, "JPEG")
    return out.getvalue()[:2000]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"no picture at all", "invalid_image_format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "invalid_image_format"),
        (bomb(8_000), "image_too_large"),
        (bomb(30_000), "image_too_large"),
        (cut_off(), "invalid_image"),
    ],
)
def test_bad_pictures_are_refused(classifier: NsfwClassifier, tmp_path: Path, data: bytes, code: str) -> None:
    """What is no picture, too many pixels, or cut off is the request's fault, and its field is named."""
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InvalidRequest) as caught:
        classifier.judge(tmp_path / "file", "input[1].image_url.url")
    assert (caught.value.code, caught.value.param) == (code, "input[1].image_url.url")


def test_scales_meet_at_the_threshold() -> None:
    """A picture at its own threshold scores the text's; order is kept, and 0 and 1 stay."""
    assert [image_classifier.rescale_probability(p, 0.4) for p in (0, image_classifier.THRESHOLD, 1)] == pytest.approx(
        [0, 0.4, 1]
    )
    assert (
        image_classifier.rescale_probability(0.5, 0.4)
        < image_classifier.rescale_probability(0.6, 0.4)
        < image_classifier.rescale_probability(0.9, 0.4)
    )


def test_another_file_is_no_network(tmp_path: Path) -> None:
    """What is no ONNX file does not load, and is named."""
    (tmp_path / "odd.onnx").write_bytes(b"odd")
    with pytest.raises(Unavailable, match=r"odd\.onnx"):
        NsfwClassifier(tmp_path / "odd.onnx", 1)


def test_photos_are_judged_upright(classifier: NsfwClassifier, tmp_path: Path) -> None:
    """A photo has the score of the picture that one sees, however the camera was held."""
    scores = []
    for orientation in photos.ORIENTATIONS:
        file = tmp_path / str(orientation)
        file.write_bytes(photos.photo(orientation, "PNG", landscape()))
        scores.append(classifier.judge(file, "input"))
    assert len(set(scores)) == 1


@pytest.mark.parametrize("name", photos.oddities())
def test_odd_files_are_judged(classifier: NsfwClassifier, tmp_path: Path, name: str) -> None:
    """16 bits of grey, print colours, profiles and broken notes do not stop the judgement."""
    file = tmp_path / "odd"
    file.write_bytes(photos.oddities()[name])
    assert 0 <= classifier.judge(file, "input") <= 1


def test_16_bits_of_grey_are_judged_as_8_are(classifier: NsfwClassifier, tmp_path: Path) -> None:
    """They are no longer taken for white."""
    grey = np.asarray(landscape().convert("L"))
    Image.fromarray(grey).save(tmp_path / "8", "PNG")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16", "PNG")
    assert classifier.judge(tmp_path / "8", "input") == classifier.judge(tmp_path / "16", "input")
