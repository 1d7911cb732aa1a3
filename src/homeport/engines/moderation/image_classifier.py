"""The probability that an image is pornographic (Yahoo's open_nsfw, on ONNX Runtime).

Limits on bytes and pixels are checked before an image is decoded. Detects nothing else, such as violence or hatred. The
preprocessing follows Yahoo's classify_nsfw.py, as the package specifies.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from homeport.engines import image_decoding
from homeport.engines.onnx_sessions import open_session

THRESHOLD = 0.8
"""An image counts as pornographic from this probability on. The package: below 0.2 it is not, in between unsure."""

_RESIZED, _CROP_EDGE = 256, 224
_MEAN = np.array([104, 117, 123], np.float32)  # blue, green, red


class NsfwClassifier:
    """The network, loaded from an ONNX file. Raises Unavailable if it does not load."""

    def __init__(self, file: Path, threads: int | None) -> None:
        self._session = open_session(file, threads)
        self._input = self._session.get_inputs()[0].name

    def judge(self, file: Path, param: str) -> float:
        """Return the probability, 0..1. Raises InvalidRequest for `param` if the file is not an image, or too large."""
        rows = _preprocess(image_decoding.decode_rgb(file, param))
        (outputs,) = self._session.run(None, {self._input: rows[None]})
        return float(outputs[0, 1])


def rescale_probability(probability: float, threshold: float) -> float:
    """Rescale an image's probability to the scale of a text's score, which has another threshold."""
    if probability < THRESHOLD:
        return probability / THRESHOLD * threshold
    return threshold + (probability - THRESHOLD) / (1 - THRESHOLD) * (1 - threshold)


def _preprocess(image: Image.Image) -> NDArray[np.float32]:
    """Resize, recompress as JPEG (the network was trained on JPEG only), crop, swap to BGR and subtract the mean."""
    jpeg = io.BytesIO()
    image.resize((_RESIZED, _RESIZED), Image.Resampling.BILINEAR).save(jpeg, "JPEG")
    edge = (_RESIZED - _CROP_EDGE) // 2
    with Image.open(jpeg) as recompressed:
        rgb = np.asarray(recompressed.convert("RGB"), np.float32)
    pixels = rgb[edge : edge + _CROP_EDGE, edge : edge + _CROP_EDGE]
    return np.asarray(pixels[:, :, ::-1] - _MEAN, np.float32)
