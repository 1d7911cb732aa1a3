"""Dual encoders of a few kilobytes, in both layouts of files: an image of one color has the direction of its name.

Both towers are linear: an image is the mean of its preprocessed pixels, a text the sum of its words.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from bench.prompts.onnx_file import OnnxFile

WIDTH, EDGE, PATCH, WINDOW = 16, 16, 8, 8
PATCHES = (EDGE // PATCH) ** 2
WORDS = ["<pad>", "<s>", "</s>", "<unk>", "red", "green", "blue", "car", "sky", "a", "the"]
COLORS = {"red": (230, 20, 20), "green": (20, 200, 40), "blue": (30, 40, 220)}
MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.5, 0.2)

Floats = NDArray[np.float32]


class TinyModel:
    """A model's files by role, and its weights: `pixels` (3, width), `words` (words, width)."""

    def __init__(self, paths: Mapping[str, Path], pixels: Floats, words: Floats) -> None:
        self.paths = dict(paths)
        self.pixels = pixels
        self.words = words


def ids(*words: str) -> list[int]:
    """Return the ids of words, with the tokens around a text."""
    return [1, *(WORDS.index(word) for word in words), 2]


def picture(path: Path, color: str, size: tuple[int, int] = (40, 30)) -> Path:
    """Write an image of one color."""
    Image.new("RGB", size, COLORS[color]).save(path, "PNG")
    return path


def open_clip(folder: Path) -> TinyModel:
    """Write a model as `immich-app/…` has it: one input at a time, texts padded to the window, padding is read."""
    pixels, words = _weights(pad=0.05)
    paths = _paths(folder, "preprocess_cfg.json")
    texts = OnnxFile()
    found = texts.node("Gather", [texts.tensor(words), texts.input("text", np.int32, (1, WINDOW))])
    texts.output("embedding", _sum(texts, found, 1), np.float32, (1, WIDTH))
    paths["weights"].write_bytes(texts.content())
    _write_images(paths["images"], pixels, "image", "embedding", 1)
    config = {
        "embed_dim": WIDTH,
        "vision_cfg": {"image_size": EDGE, "timm_model_name": f"vit_patch{PATCH}_tiny"},
        "text_cfg": {"context_length": WINDOW, "tokenizer_kwargs": {"clean": "canonicalize"}},
    }
    _write(paths["config"], config)
    preprocessing = {"size": [EDGE, EDGE], "mode": "RGB", "mean": MEAN, "std": STD, "interpolation": "bicubic"}
    _write(paths["preprocessor"], {**preprocessing, "resize_mode": "shortest", "fill_color": 0})
    return TinyModel(paths, pixels, words)


def transformers(folder: Path, *, is_quantized: bool = False) -> TinyModel:
    """Write a model as `Xenova/…` has it: any number of inputs, padding is masked, more outputs than the vectors.

    `is_quantized`: the activations of both towers have eight bits.
    """
    pixels, words = _weights(pad=9.0)
    paths = _paths(folder, "preprocessor_config.json")
    texts = OnnxFile()
    size = ("batch", "sequence")
    found = texts.node("Gather", [texts.tensor(words), texts.input("input_ids", np.int64, size)])
    mask = texts.node("Cast", [texts.input("attention_mask", np.int64, size)], to=1)
    masked = texts.node("Mul", [found, texts.node("Unsqueeze", [mask, texts.tensor(np.array([2]))])])
    texts.output("last_hidden_state", found, np.float32, (*size, WIDTH))
    total = _sum(texts, masked, 1)
    texts.output("text_embeds", _round(texts, total) if is_quantized else total, np.float32, ("batch", WIDTH))
    paths["weights"].write_bytes(texts.content())
    _write_images(paths["images"], pixels, "pixel_values", "image_embeds", "batch", is_quantized=is_quantized)
    config = {"model_type": "clip", "text_config": {}, "vision_config": {"patch_size": PATCH}}
    _write(paths["config"], config)
    resize = {"do_resize": True, "resample": 3, "size": {"shortest_edge": EDGE}}
    crop = {"do_center_crop": True, "crop_size": {"height": EDGE, "width": EDGE}}
    scale = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": MEAN, "image_std": STD}
    _write(paths["preprocessor"], {**resize, **crop, **scale, "do_convert_rgb": True})
    return TinyModel(paths, pixels, words)


LAYOUTS = {"open_clip": open_clip, "transformers": transformers}


def _weights(pad: float) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(3)
    pixels = rng.standard_normal((3, WIDTH)).astype(np.float32)
    words = (0.1 * rng.standard_normal((len(WORDS), WIDTH))).astype(np.float32)
    words[0] = pad
    for name, color in COLORS.items():
        normalized = (np.array(color) / 255 - MEAN) / STD
        words[WORDS.index(name)] = normalized @ pixels
    return pixels, words


def _paths(folder: Path, preprocessor: str) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(WORDS[:4])
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(folder / "tokenizer_config.json", {"pad_token": "<pad>", "model_max_length": WINDOW})
    names = {
        "weights": "textual-model.onnx",
        "images": "visual-model.onnx",
        "config": "config.json",
        "preprocessor": preprocessor,
        "tokenizer": "tokenizer.json",
        "tokenizer_config": "tokenizer_config.json",
    }
    return {role: folder / name for role, name in names.items()}


def _write_images(
    path: Path, pixels: Floats, name: str, output: str, batch: int | str, *, is_quantized: bool = False
) -> None:
    graph = OnnxFile()
    given = graph.input(name, np.float32, (batch, 3, EDGE, EDGE))
    mean = graph.node("ReduceMean", [given, graph.tensor(np.array([2, 3]))], keepdims=0)
    mean = _round(graph, mean) if is_quantized else mean
    graph.output(output, graph.node("MatMul", [mean, graph.tensor(pixels)]), np.float32, (batch, WIDTH))
    path.write_bytes(graph.content())


def _round(graph: OnnxFile, source: str) -> str:
    """Round values to eight bits, whose scale is that of all values together, as dynamic quantization does."""
    made = graph.node("DynamicQuantizeLinear", [source], outputs=3)
    return graph.node("DequantizeLinear", [made, f"{made}:1", f"{made}:2"])


def _sum(graph: OnnxFile, source: str, axis: int) -> str:
    return graph.node("ReduceSum", [source, graph.tensor(np.array([axis]))], keepdims=0)


def _write(path: Path, values: Mapping[str, object]) -> None:
    path.write_text(json.dumps(values), "utf-8")
