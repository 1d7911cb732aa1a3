"""Preprocessing against values computed from the definitions, with plain Python and numpy."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from homeport.domain.errors import Unavailable
from homeport.engines.embeddings.dual_encoder.preprocessing import (
    CLIP_MEAN,
    CLIP_STD,
    read_open_clip,
    read_transformers,
)

MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
OPEN_CLIP: dict[str, Any] = {"size": [12, 12], "mean": MEAN, "std": STD, "interpolation": "bicubic"}
TRANSFORMERS: dict[str, Any] = {
    "size": {"shortest_edge": 12},
    "crop_size": {"height": 12, "width": 12},
    "image_mean": MEAN,
    "image_std": STD,
    "resample": 3,
}


def noise(width: int, height: int) -> Image.Image:
    """Return an image in which no two places are alike."""
    rng = np.random.default_rng(width * height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


def normalized(image: Image.Image, mean: Any = MEAN, std: Any = STD) -> Any:
    """Compute the last step by its definition: each channel by itself, in double precision."""
    pixels = np.asarray(image).astype(np.float64) / 255
    return np.stack([(pixels[:, :, channel] - mean[channel]) / std[channel] for channel in range(3)])


@pytest.mark.parametrize(
    ("size", "resized", "left", "top"),
    [
        ((30, 20), (18, 12), 3, 0),
        ((20, 33), (12, 19), 0, 4),  # (19 - 12) / 2 is 3.5: rounded to the even 4
        ((23, 20), (13, 12), 0, 0),  # 0.5 to 0
        ((12, 12), (12, 12), 0, 0),
    ],
)
def test_open_clip_resizes_the_shorter_edge(
    size: tuple[int, int], resized: tuple[int, int], left: int, top: int
) -> None:
    """The shorter edge fits, the longer one is cut off after the decimal point; the crop's half pixel becomes even."""
    image = noise(*size)
    golden = image.resize(resized, Image.Resampling.BICUBIC).crop((left, top, left + 12, top + 12))
    pixels = read_open_clip({**OPEN_CLIP, "resize_mode": "shortest"}).apply(image)
    assert pixels.shape == (3, 12, 12)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, normalized(golden), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(pixels, read_open_clip(OPEN_CLIP).apply(image))


def test_transformers_rounds_crops_down() -> None:
    """Its crop begins half a pixel lower, where open_clip rounds to the even one."""
    image = noise(20, 33)
    golden = image.resize((12, 19), Image.Resampling.BICUBIC).crop((0, 3, 12, 15))
    np.testing.assert_allclose(read_transformers(TRANSFORMERS).apply(image), normalized(golden), rtol=0, atol=1e-5)


def test_images_are_squashed() -> None:
    """Without a crop, the image becomes the whole size whatever its shape, with the filter that is named."""
    image = noise(30, 20)
    golden = normalized(image.resize((12, 12), Image.Resampling.BILINEAR))
    squashed = {**OPEN_CLIP, "resize_mode": "squash", "interpolation": "bilinear"}
    np.testing.assert_allclose(read_open_clip(squashed).apply(image), golden, rtol=0, atol=1e-5)
    values = {"size": {"height": 12, "width": 12}, "do_center_crop": False, "resample": 2}
    values |= {"image_mean": MEAN, "image_std": STD}
    np.testing.assert_allclose(read_transformers(values).apply(image), golden, rtol=0, atol=1e-5)
    np.testing.assert_allclose(read_transformers({**values, "size": 12}).apply(image), golden, rtol=0, atol=1e-5)


def test_images_are_fitted_and_padded() -> None:
    """With `longest`, the whole image is inside and the rest has the fill color."""
    image = noise(30, 20)
    golden = Image.new("RGB", (12, 12), (7, 7, 7))
    golden.paste(image.resize((12, 8), Image.Resampling.BICUBIC), (0, 2))
    values = {**OPEN_CLIP, "resize_mode": "longest", "fill_color": 7}
    np.testing.assert_allclose(read_open_clip(values).apply(image), normalized(golden), rtol=0, atol=1e-5)


def test_defaults_are_openais() -> None:
    """Without values of its own, a configuration means those of OpenAI's models."""
    image = noise(300, 224)
    golden = image.crop((38, 0, 262, 224))
    for pixels in (read_open_clip({}).apply(image), read_transformers({}).apply(image)):
        np.testing.assert_allclose(pixels, normalized(golden, CLIP_MEAN, CLIP_STD), rtol=0, atol=1e-5)


def test_steps_can_be_left_out() -> None:
    """Without resizing, scaling and normalizing, the crop has the image's own values."""
    image = noise(20, 14)
    values = {"do_resize": False, "do_rescale": False, "do_normalize": False, "crop_size": 12}
    pixels = read_transformers(values).apply(image)
    np.testing.assert_array_equal(pixels, np.asarray(image)[1:13, 4:16].transpose(2, 0, 1))
    values["do_rescale"] = True
    np.testing.assert_allclose(read_transformers(values).apply(image), pixels / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"resize_mode": "stretch"}, "resize_mode"),
        ({"interpolation": "magic"}, "interpolation"),
        ({"size": 0}, "size"),
        ({"size": [1, 2, 3]}, "size"),
        ({"mean": [0.5]}, "mean"),
        ({"std": [0.5, 0, 0.5]}, "std"),
        ({"mode": "L"}, "mode"),
    ],
)
def test_what_cannot_be_followed_is_named(values: dict[str, Any], name: str) -> None:
    """A configuration with an unknown step is refused, and never guessed."""
    with pytest.raises(Unavailable, match=f"`{name}`"):
        read_open_clip({**OPEN_CLIP, **values})


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"size": {"longest_edge": 12}}, "size"),
        ({"size": "large"}, "size"),
        ({"resample": 99}, "resample"),
        ({"crop_size": {"height": 12}}, "crop_size"),
        ({"image_std": [0.5, 0, 0.5]}, "image_std"),
    ],
)
def test_what_transformers_alone_can_do_is_named(values: dict[str, Any], name: str) -> None:
    """The same for the other kind of configuration."""
    with pytest.raises(Unavailable, match=f"`{name}`"):
        read_transformers({**TRANSFORMERS, **values})
