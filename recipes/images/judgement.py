"""Finds the training images nearest to a generated one, and its main color. Knows nothing of the models judged."""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from homeport.engines.images.pipelines.clipart.pose import center_drawing
from recipes.images.concepts import COLOURS
from recipes.images.dataset import Dataset

_CELLS = 16  # along each side of the reduced images that are compared
_TILTS = (-8, -4, 0, 4, 8)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Codes of the nearest images' concepts, the nearest first, each once; and the name of the main color."""

    codes: tuple[str, ...]
    colour: str


class Judge:
    """Compares images, reduced to 16 x 16 cells, with all training images, by color and by gray value.

    Drawings are framed first, and the judged image is also tilted, so place, size and a small tilt have no effect. The
    judge is independent of the models: it knows the training images only.
    """

    def __init__(self, data: Dataset) -> None:
        self._codes = [row.code for row in data.rows]
        self._features = _features(np.stack([center_drawing(picture) for picture in data.pixels]))

    def judge(self, pixels: NDArray[np.uint8], most: int = 5, *, is_either_way: bool = False) -> Verdict:
        """Judge the pixels of one square image. `is_either_way`: also compare its mirror image."""
        ways = np.stack([center_drawing(_turned(pixels, degrees)) for degrees in _TILTS])
        if is_either_way:
            ways = np.concatenate([ways, ways[:, :, ::-1]])
        nearness = (self._features @ _features(ways).T).max(axis=1)
        codes = dict.fromkeys(self._codes[index] for index in np.argsort(-nearness)[: 40 * most])
        return Verdict(tuple(codes)[:most], main_colour(pixels))


def main_colour(pixels: NDArray[np.uint8]) -> str:
    """The color that most colored pixels are nearest to; empty if few pixels are colored."""
    flat = pixels.reshape(-1, 3).astype(np.float32) / 255
    spread = flat.max(axis=1) - flat.min(axis=1)
    vivid = flat[spread > 0.25]
    if len(vivid) < 0.03 * len(flat):
        return ""
    hues = np.array([colorsys.rgb_to_hsv(*pixel)[0] * 360 for pixel in vivid.tolist()])
    names = list(COLOURS)
    away = np.abs((hues[:, None] - np.array([COLOURS[name][1] for name in names]) + 180) % 360 - 180)
    return names[int(np.bincount(away.argmin(axis=1), minlength=len(names)).argmax())]


def _turned(pixels: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    with Image.fromarray(pixels) as image:
        return np.asarray(image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor="white"))


def _features(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rows of length 1: the colors and gray values of the cells, each minus its mean."""
    count, side = len(pixels), pixels.shape[1] // _CELLS
    cells = pixels.reshape(count, _CELLS, side, _CELLS, side, 3).mean(axis=(2, 4), dtype=np.float32)
    grey = cells.mean(axis=-1).reshape(count, -1)
    colour = cells.reshape(count, -1)
    parts = [_even(colour), _even(grey)]
    return np.concatenate(parts, axis=1) / np.float32(np.sqrt(2))


def _even(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.maximum(length, np.float32(1e-6))
