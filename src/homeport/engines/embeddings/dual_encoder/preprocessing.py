"""From an upright RGB image to the pixels that an image tower reads, as its model's own configuration says.

Two kinds of configuration: open_clip's `preprocess_cfg.json` and transformers' `preprocessor_config.json`. Their sizes
and crops are rounded differently, and each is followed as its own library computes it. Knows nothing of networks.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np
from PIL import Image

from homeport.domain.errors import Unavailable
from homeport.engines.embeddings.dual_encoder.towers import Pixels

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""OpenAI's, which both libraries take if a configuration states none."""

_EDGE = 224  # the same for the size
_RGB = 3
_MAX_EDGE = 4096  # of a configuration: larger values are errors
_FILTERS = {each.name.lower(): each for each in Image.Resampling} | {"random": Image.Resampling.BICUBIC}

ResizeMode = Literal["shortest", "longest", "squash", "none"]
_MODES: Mapping[str, ResizeMode] = {"shortest": "shortest", "longest": "longest", "squash": "squash"}
Size = tuple[int, int]
"""Width and height."""


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True):
    """What is done with an image: resize, crop, scale, normalize.

    `mode` `shortest`: its shorter edge becomes that of `size`; `longest`: it fits into `size`; `squash`: it becomes
    `size`. `crop`: the centre that is kept; smaller images are padded with `fill`. `rounds_crop`: half a pixel is
    rounded to the even one, else down. Then pixels are multiplied by `scale`, less `mean`, divided by `std`.
    """

    mode: ResizeMode
    size: Size
    crop: Size | None
    rounds_crop: bool
    resample: Image.Resampling
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fill: int = 0

    def apply(self, image: Image.Image) -> Pixels:
        """Return the pixels, float32 (channels, height, width)."""
        if self.mode != "none":
            image = image.resize(self._resized(image.size), self.resample)
        if self.crop is not None and self.crop != image.size:
            image = self._crop(image, self.crop)
        pixels = np.asarray(image, np.float32) * np.float32(self.scale)
        normalized = (pixels - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(normalized.transpose(2, 0, 1), np.float32)

    @property
    def output(self) -> Size | None:
        """The size of every result; None if it varies."""
        return self.crop or (self.size if self.mode == "squash" else None)

    def _resized(self, old: Size) -> Size:
        if self.mode == "squash":
            return self.size
        if self.mode == "shortest" and self.size[0] == self.size[1]:
            edge, short = self.size[0], min(old)
            # The same order of operations as in both libraries: another one may differ by a pixel.
            return int(edge * old[0] / short), int(edge * old[1] / short)
        ratios = old[0] / self.size[0], old[1] / self.size[1]
        ratio = max(ratios) if self.mode == "longest" else min(ratios)
        return max(1, round(old[0] / ratio)), max(1, round(old[1] / ratio))

    def _crop(self, image: Image.Image, crop: Size) -> Image.Image:
        width, height = (max(image.size[axis], crop[axis]) for axis in (0, 1))
        if (width, height) != image.size:
            padded = Image.new("RGB", (width, height), (self.fill,) * _RGB)
            padded.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
            image = padded
        left, top = (self._offset(image.size[axis] - crop[axis]) for axis in (0, 1))
        return image.crop((left, top, left + crop[0], top + crop[1]))

    def _offset(self, rest: int) -> int:
        return round(rest / 2) if self.rounds_crop else rest // 2


def read_open_clip(values: Mapping[str, Any]) -> Preprocessing:
    """Read `preprocess_cfg.json`. Raises Unavailable that names the value it cannot follow."""
    size = _pair(values.get("size", _EDGE), "size")
    mode = _MODES.get(values.get("resize_mode") or "shortest")
    if mode is None:
        raise _unsupported("resize_mode", values["resize_mode"])
    if values.get("mode", "RGB") != "RGB":
        raise _unsupported("mode", values["mode"])
    return Preprocessing(
        mode=mode,
        size=size,
        crop=None if mode == "squash" else size,
        rounds_crop=True,
        resample=_named_filter(values.get("interpolation") or "bicubic"),
        scale=1 / 255,
        mean=_channels(values.get("mean") or CLIP_MEAN, "mean"),
        std=_channels(values.get("std") or CLIP_STD, "std"),
        fill=int(values.get("fill_color") or 0),
    )


def read_transformers(values: Mapping[str, Any]) -> Preprocessing:
    """Read `preprocessor_config.json`. Raises Unavailable that names the value it cannot follow."""
    crop = _pair(values.get("crop_size", _EDGE), "crop_size") if values.get("do_center_crop", True) else None
    mode, size = _transformers_size(values.get("size", {"shortest_edge": _EDGE}), is_cropped=crop is not None)
    is_normalized = values.get("do_normalize", True)
    return Preprocessing(
        mode=mode if values.get("do_resize", True) else "none",
        size=size,
        crop=crop,
        rounds_crop=False,
        resample=_numbered_filter(values.get("resample", Image.Resampling.BICUBIC)),
        scale=float(values.get("rescale_factor", 1 / 255)) if values.get("do_rescale", True) else 1.0,
        mean=_channels(values.get("image_mean") or CLIP_MEAN, "image_mean") if is_normalized else (0.0,) * _RGB,
        std=_channels(values.get("image_std") or CLIP_STD, "image_std") if is_normalized else (1.0,) * _RGB,
    )


def _transformers_size(given: Any, *, is_cropped: bool) -> tuple[ResizeMode, Size]:
    """Return the mode and size. A bare number is the shorter edge of an image that is then cropped, else both edges."""
    if isinstance(given, Mapping):
        if set(given) == {"shortest_edge"}:
            return "shortest", _pair(given["shortest_edge"], "size")
        if set(given) == {"height", "width"}:
            return "squash", _pair((given["height"], given["width"]), "size")
        raise _unsupported("size", dict(given))
    return ("shortest" if is_cropped else "squash"), _pair(given, "size")


def _pair(given: Any, name: str) -> Size:
    """Return width and height of a number, or of a height and a width."""
    if isinstance(given, Mapping) and set(given) == {"height", "width"}:
        given = (given["height"], given["width"])
    edges = [given, given] if isinstance(given, int) else list(given) if isinstance(given, list | tuple) else []
    if len(edges) == 1:
        edges *= 2
    if len(edges) != 2 or not all(isinstance(edge, int) and 0 < edge <= _MAX_EDGE for edge in edges):
        raise _unsupported(name, given)
    return edges[1], edges[0]


def _channels(given: Any, name: str) -> tuple[float, ...]:
    numbers = [given] * _RGB if isinstance(given, int | float) else given
    if len(numbers) != _RGB or not all(isinstance(each, int | float) and math.isfinite(each) for each in numbers):
        raise _unsupported(name, given)
    if name.endswith("std") and not all(numbers):
        raise _unsupported(name, given)
    return tuple(map(float, numbers))


def _named_filter(name: str) -> Image.Resampling:
    if name not in _FILTERS:
        raise _unsupported("interpolation", name)
    return _FILTERS[name]


def _numbered_filter(number: int) -> Image.Resampling:
    try:
        return Image.Resampling(number)
    except ValueError:
        raise _unsupported("resample", number) from None


def _unsupported(name: str, value: Any) -> Unavailable:
    return Unavailable(f"The preprocessing of the model's images has an unsupported `{name}`: {str(value)[:100]}.")
