"""Export checkpoints to the three ONNX files that the server uses, with weights in half precision.

`python -m recipes.images.export FOLDER INTO`. Knows nothing of training.
"""

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from homeport.engines.images.pipelines.clipart.networks import LATENT, SIDE
from recipes.images import train
from recipes.images.draft import Draft
from recipes.images.latent_to_caption import Beholder
from recipes.images.latents import Coder, Finisher
from recipes.images.transformer import around

_LARGE = 1024  # numbers: smaller tensors keep single precision
_SPREAD = 0.25  # of drafts' mean error: how much seeds differ


class Step(nn.Module):
    """The network that a sampler calls with latents, time, caption vectors, styles and whether to use the captions.

    It samples a narrow normal distribution around the draft, whose velocity is known without another network.
    """

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft

    def forward(self, latents: Tensor, time: Tensor, vectors: Tensor, style: Tensor, told: Tensor) -> Tensor:
        """The velocity, of the latents' shape."""
        draft, shown = self.draft, told.view(-1, 1, 1, 1)
        middle = draft(draft.reading(vectors), style) * shown + draft.average[style] * (1 - shown)
        return around(latents, time, middle, draft.near * _SPREAD)[0]


class Finished(nn.Module):
    """Latents to a finished image; pixels in -1..1."""

    def __init__(self, coder: Coder, finisher: Finisher) -> None:
        super().__init__()
        self.coder, self.finisher = coder, finisher

    def forward(self, latents: Tensor) -> Tensor:
        """(n, CHANNELS, 8, 8) to (n, 3, 128, 128)."""
        pixels: Tensor = self.finisher(self.coder.decode(latents))
        return pixels.clamp(-1, 1)


class Encoder(nn.Module):
    """Pixels to latents, and to the vector of a matching caption."""

    def __init__(self, coder: Coder, beholder: Beholder) -> None:
        super().__init__()
        self.coder, self.beholder = coder, beholder

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, 128, 128) in -1..1 to (n, CHANNELS, 8, 8) and (n, 384)."""
        latents = self.coder.encode(functional.avg_pool2d(pixels, 2))
        return latents, self.beholder(latents)


@dataclass(frozen=True, slots=True)
class Names:
    """The run of each network to export."""

    draft: str = "base"
    finish: str = "base"
    behold: str = "base"


def export(folder: Path, names: Names, into: Path) -> list[Path]:
    """Write step.onnx, decoder.onnx and encoder.onnx of the averaged networks."""
    into.mkdir(parents=True, exist_ok=True)
    draft = train.load_draft(folder, names.draft)
    coder, finisher = train.load_coder(folder), train.load_finisher(folder, names.finish)
    latents, pixels = torch.zeros(2, *LATENT), torch.zeros(2, 3, SIDE, SIDE)
    # Separate tensors, because one tensor passed twice would become one input.
    time, told = torch.zeros(2), torch.zeros(2)
    return [
        _written(
            Step(draft),
            (latents, time, torch.zeros(2, 384), torch.zeros(2, dtype=torch.int64), told),
            ["latents", "time", "vectors", "style", "told"],
            into / "step.onnx",
        ),
        _written(Finished(coder, finisher), (latents,), ["latents"], into / "decoder.onnx"),
        _written(
            Encoder(coder, train.load_beholder(folder, names.behold)), (pixels,), ["pixels"], into / "encoder.onnx"
        ),
    ]


def _written(module: nn.Module, inputs: tuple[Tensor, ...], names: list[str], path: Path) -> Path:
    count = torch.export.Dim("count")
    program = torch.onnx.export(
        module.eval(),
        inputs,
        input_names=names,
        dynamic_shapes=tuple({0: count} for _ in inputs),
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
    """Store large weights in half precision, with a cast to single precision, in which all arithmetic stays."""
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
    for network in ("draft", "finish", "behold"):
        parser.add_argument(f"--{network}", default="base")
    arguments = parser.parse_args()
    for path in export(arguments.folder, Names(arguments.draft, arguments.finish, arguments.behold), arguments.into):
        content = path.read_bytes()
        print(path.name, len(content), hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
