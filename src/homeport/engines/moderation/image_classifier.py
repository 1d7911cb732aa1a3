"""One number per picture: how likely it is pornographic (Yahoo's open_nsfw, through onnxruntime).

Decoded within bounds of bytes and pixels, which are looked at before any pixel is. Of violence, hatred or anything
else in a picture this knows nothing. How a picture must be prepared: Yahoo's classify_nsfw.py, as the package says.
"""

import io
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.engines import image_decoding
from homeport.engines.onnx_sessions import session_options

MAX_PIXELS = 50_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
THRESHOLD = 0.8
"""From here on a picture is taken for pornographic; below 0.2 it is not, says the package, and between it is unsure."""

_RESIZED, _CROP_EDGE = 256, 224
_MEAN = np.array([104, 117, 123], np.float32)  # blue, green, red


class NsfwClassifier:
    """The network, loaded from an ONNX file. Raises Unavailable where it does not load."""

    def __init__(self, file: Path, threads: int | None) -> None:
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), session_options(threads), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has a family of its own, without a root
            raise Unavailable(f"{file.name} does not load: {type(error).__name__}.") from error
        self._input = self._session.get_inputs()[0].name

    def judge(self, file: Path, param: str) -> float:
        """The probability, 0..1. Raises InvalidRequest naming `param` where the file is no picture, or too large."""
        rows = _preprocess(_decode(file, param))
        (answers,) = self._session.run(None, {self._input: rows[None]})
        return float(answers[0, 1])


def rescale_probability(probability: float, threshold: float) -> float:
    """A picture's probability on the scale of a text's score, whose threshold is another one."""
    if probability < THRESHOLD:
        return probability / THRESHOLD * threshold
    return threshold + (probability - THRESHOLD) / (1 - THRESHOLD) * (1 - threshold)


def _decode(file: Path, param: str) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of pictures that are over its own bound, and of odd metadata
        try:
            with Image.open(file, formats=FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise _too_large(param)
                return _first_frame_rgb(picture)
        except UnidentifiedImageError as error:
            kinds = ", ".join(FORMATS)
            raise InvalidRequest(
                f"Invalid '{param}': this is no image of a format read here ({kinds}).",
                param=param,
                code="invalid_image_format",
            ) from error
        except Image.DecompressionBombError as error:
            raise _too_large(param) from error
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise InvalidRequest(
                f"Invalid '{param}': the image is broken or cut off.", param=param, code="invalid_image"
            ) from error


def _too_large(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid '{param}': the image has more than {MAX_PIXELS} pixels, and no more are read.",
        param=param,
        code="image_too_large",
    )


def _first_frame_rgb(picture: Image.Image) -> Image.Image:
    """The first frame, upright, in red, green and blue, on white where one can see through it."""
    picture = image_decoding.upright_image(picture)
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
    return picture.convert("RGB")


def _preprocess(picture: Image.Image) -> NDArray[np.float32]:
    """Resized, once through JPEG as all that the network has ever seen, its middle, blue first, the mean taken off."""
    passed = io.BytesIO()
    picture.resize((_RESIZED, _RESIZED), Image.Resampling.BILINEAR).save(passed, "JPEG")
    edge = (_RESIZED - _CROP_EDGE) // 2
    with Image.open(passed) as again:
        pixels = np.asarray(again.convert("RGB"), np.float32)[edge : edge + _CROP_EDGE, edge : edge + _CROP_EDGE]
    return np.asarray(pixels[:, :, ::-1] - _MEAN, np.float32)
