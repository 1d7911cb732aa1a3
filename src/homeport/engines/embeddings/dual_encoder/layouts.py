"""Makes a dual encoder from a model's files: homeport-glance-256, or one in a layout that such models are published in.

open_clip's (`immich-app/…`): `config.json` with `text_cfg` and `vision_cfg`, `preprocess_cfg.json`. transformers'
(`Xenova/…`): `config.json` with `model_type`, `preprocessor_config.json`. Both have a `tokenizer.json`, a
`tokenizer_config.json`, and one ONNX file for each tower. Knows nothing of requests.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from homeport.domain.errors import HomeportError, Unavailable
from homeport.engines.embeddings.dual_encoder import glance, preprocessing, text_tokenizer
from homeport.engines.embeddings.dual_encoder.onnx_towers import OnnxGraph, OnnxImageTower, OnnxTextTower
from homeport.engines.embeddings.dual_encoder.text_tokenizer import TextTokenizer
from homeport.engines.embeddings.dual_encoder.towers import DualEncoder, ImageTower, TextTower
from homeport.engines.embeddings.engine import EmbeddingOptions

ROLES = ("weights", "images", "config", "preprocessor", "tokenizer", "tokenizer_config")
"""The files of both layouts: the text tower, the image tower, and their configuration."""

_OPEN_CLIP_WINDOW = 77
_WINDOWS = {"clip": 77, "siglip": 64, "siglip2": 64}
"""transformers' defaults, by `model_type`, for configurations that state no window."""

_PATCHES = {"clip": 32, "siglip": 16, "siglip2": 16}  # the same for the edge of a patch
_NO_PATCHES = 32  # convolutional networks have none: their output has one place per this many pixels
_MAX_WINDOW = 8192  # tokenizers without a limit of their own state an absurdly large one

Json = Mapping[str, Any]


def load(paths: Mapping[str, Path], options: EmbeddingOptions) -> DualEncoder:
    """Load a model. `paths`: its files by role. Raises Unavailable if one is missing or wrong."""
    if glance.TEXT_MODEL in paths:
        return glance.load(paths, options)
    threads = options.threads
    if missing := [role for role in ROLES if role not in paths]:
        raise Unavailable(f"The model has no file `{missing[0]}`.")
    config, images = _read(paths["config"]), _read(paths["preprocessor"])
    tokens = _read(paths["tokenizer_config"])
    is_open_clip = "text_cfg" in config
    text_config: Json = config.get("text_cfg" if is_open_clip else "text_config") or {}
    tokenizer = TextTokenizer(
        paths["tokenizer"],
        window=_open_clip_window(text_config) if is_open_clip else _transformers_window(config, text_config, tokens),
        pad_token=_pad_token(tokens),
        clean=text_tokenizer.choose_cleaning(text_config) if is_open_clip else str,
    )
    # CLIP reads a text up to its last token, so padding does not matter; SigLIP was trained on full windows.
    fills_window = is_open_clip or str(config.get("model_type")).startswith("siglip")
    texts = OnnxTextTower(OnnxGraph(paths["weights"], threads), tokenizer, fills_window=fills_window)
    # A few models in transformers' layout have open_clip's configuration of images.
    has_open_clips = is_open_clip or "resize_mode" in images
    read = preprocessing.read_open_clip if has_open_clips else preprocessing.read_transformers
    pictures = OnnxImageTower(OnnxGraph(paths["images"], threads), read(images), _patch(config))
    return join(texts, pictures, f"ONNX Runtime {onnxruntime.__version__}")


def join(texts: TextTower, images: ImageTower, kernels: str) -> DualEncoder:
    """Compute one vector by each tower, and return both as one model. Raises Unavailable if they do not match."""
    try:
        row = texts.encode([texts.tokenize("a")])
        column = images.encode([images.preprocess(Image.new("RGB", (32, 32), "gray"))])
    except HomeportError as error:
        raise Unavailable(f"The model does not compute: {error.message}") from error
    if row.shape != column.shape or row.ndim != 2 or not (np.isfinite(row).all() and np.isfinite(column).all()):
        shapes = f"{row.shape[-1]} and {column.shape[-1]}"
        raise Unavailable(f"The towers of texts and images have no space in common: {shapes} dimensions.")
    return DualEncoder(texts, images, int(row.shape[1]), kernels)


def _read(file: Path) -> Json:
    try:
        values = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Unavailable(f"{file.name} cannot be read: {error}.") from error
    if not isinstance(values, dict):
        raise Unavailable(f"{file.name} is not an object.")
    return values


def _pad_token(tokens: Json) -> str:
    given = tokens.get("pad_token")
    content = given.get("content") if isinstance(given, dict) else given
    if not isinstance(content, str):
        raise Unavailable("The model's tokenizer_config.json names no padding token.")
    return content


def _open_clip_window(text_config: Json) -> int:
    return _window(text_config.get("context_length", _OPEN_CLIP_WINDOW))


def _transformers_window(config: Json, text_config: Json, tokens: Json) -> int:
    stated = [text_config.get("max_position_embeddings"), tokens.get("model_max_length")]
    limits = [each for each in stated if isinstance(each, int) and 0 < each <= _MAX_WINDOW]
    return _window(min(limits) if limits else _WINDOWS.get(str(config.get("model_type"))))


def _window(given: Any) -> int:
    if not isinstance(given, int) or not 0 < given <= _MAX_WINDOW:
        raise Unavailable(f"The model's configuration states no usable number of tokens: {str(given)[:100]}.")
    return given


def _patch(config: Json) -> int:
    """Return the edge of a patch in pixels: stated by itself or in the name of the network."""
    vision: Json = config.get("vision_cfg") or config.get("vision_config") or {}
    if isinstance(stated := vision.get("patch_size"), int) and stated > 0:
        return stated
    names = f"{vision.get('timm_model_name', '')} {config.get('_name_or_path', '')}"
    if named := re.search(r"patch(\d{1,3})", names):
        return max(1, int(named[1]))
    return _PATCHES.get(str(config.get("model_type")), _NO_PATCHES)
