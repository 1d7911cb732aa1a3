"""From checkpoints to the three ONNX files that the program paints with, weights stored in half precision.

`python -m training.images.export FOLDER INTO --name base`. Knows nothing of training.
"""

import argparse
import hashlib
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from training.images import checkpoints
from training.images.autoencoder import Autoencoder, Decoder, Encoder
from training.images.checkpoints import State
from training.images.transformer import Shape, Transformer

_LARGE = 1024  # numbers: smaller tensors keep single precision


class Step(nn.Module):
    """What a sampler calls: latents, time, caption vectors as they come, style and whether to heed the caption."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor, time: Tensor, vectors: Tensor, style: Tensor, told: Tensor) -> Tensor:
        """The velocity, of the latents' shape."""
        velocity: Tensor = self.model(latents, time, self.model.reading(vectors), style, told)
        return velocity


class Unscaled(nn.Module):
    """The decoder, for latents of spread 1; pixels in -1..1."""

    def __init__(self, decoder: Decoder, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.decoder = decoder
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    mean: Tensor
    spread: Tensor

    def forward(self, latents: Tensor) -> Tensor:
        """(n, 8, 8, 8) to (n, 3, 64, 64)."""
        pixels: Tensor = self.decoder(latents * self.spread + self.mean)
        return pixels.clamp(-1, 1)


class Scaled(nn.Module):
    """The encoder, to latents of spread 1."""

    def __init__(self, encoder: Encoder, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    mean: Tensor
    spread: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, 3, 64, 64) in -1..1 to (n, 8, 8, 8)."""
        latents: Tensor = (self.encoder(pixels) - self.mean) / self.spread
        return latents


def models(folder: Path, name: str) -> tuple[Transformer, Autoencoder, Tensor, Tensor]:
    """The averaged transformer, the autoencoder, and the latents' mean and spread, from their checkpoints."""
    state = cast(State, checkpoints.load(folder / f"transformer-{name}.pt"))
    transformer = Transformer(Shape(**state["shape"]))
    transformer.load_state_dict(state["average"])
    autoencoder = Autoencoder()
    autoencoder.load_state_dict(cast(State, checkpoints.load(folder / "autoencoder.pt"))["model"])
    return transformer.eval(), autoencoder.eval(), state["mean"], state["spread"]


def export(folder: Path, name: str, into: Path) -> list[Path]:
    """Write step.onnx, decoder.onnx and encoder.onnx."""
    into.mkdir(parents=True, exist_ok=True)
    transformer, autoencoder, mean, spread = models(folder, name)
    latents, pixels = torch.zeros(2, 8, 8, 8), torch.zeros(2, 3, 64, 64)
    # Each a tensor of its own: one tensor given twice would become one input.
    time, told = torch.zeros(2), torch.zeros(2)
    return [
        _written(
            Step(transformer),
            (latents, time, torch.zeros(2, 384), torch.zeros(2, dtype=torch.int64), told),
            ["latents", "time", "vectors", "style", "told"],
            into / "step.onnx",
        ),
        _written(Unscaled(autoencoder.decoder, mean, spread), (latents,), ["latents"], into / "decoder.onnx"),
        _written(Scaled(autoencoder.encoder, mean, spread), (pixels,), ["pixels"], into / "encoder.onnx"),
    ]


def _written(module: nn.Module, given: tuple[Tensor, ...], names: list[str], path: Path) -> Path:
    count = torch.export.Dim("count")
    program = torch.onnx.export(
        module.eval(),
        given,
        input_names=names,
        output_names=["out"],
        dynamic_shapes=tuple({0: count} for _ in given),
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError(f"{path.name} was not exported.")
    model = program.model_proto
    _halve(model)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def _halve(model: onnx.ModelProto) -> None:
    """Keep large weights in half precision, made single again when the file is loaded: the arithmetic stays single."""
    graph, casts = model.graph, []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _LARGE:
            continue
        name = weight.name
        half = numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), f"{name}.half")
        weight.CopyFrom(half)
        casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *kept])
    del graph.value_info[:]
    del model.metadata_props[:]
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""


def main() -> None:
    """Export and print sizes and hashes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("into", type=Path)
    parser.add_argument("--name", default="base")
    asked = parser.parse_args()
    for path in export(asked.folder, asked.name, asked.into):
        content = path.read_bytes()
        print(path.name, len(content), hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
