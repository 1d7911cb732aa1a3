"""Train one of the networks. Training resumes from its checkpoint; SIGTERM saves the state and ends.

`python -m recipes.images.train FOLDER latents`, then `draft`, `flow`, `finish` and `behold` (the latent-to-caption
network). Each `--name` has a checkpoint and a log of its own; the last three use the draft of `--draft`.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np
import torch

from homeport.engines.images.pipelines.clipart.pose import center_drawing
from recipes.images import checkpoints, dataset, trainer
from recipes.images.checkpoints import State
from recipes.images.draft import Draft, DraftShape
from recipes.images.examples import Examples
from recipes.images.latent_to_caption import Beholder
from recipes.images.latents import Coder, Finisher
from recipes.images.objectives import (
    BeholdLesson,
    DraftLesson,
    FinishLesson,
    FlowLesson,
    Lesson,
)
from recipes.images.pictures import STYLES
from recipes.images.trainer import Pace, Trainer
from recipes.images.transformer import Shape, Transformer


def fit_latents(folder: Path) -> Coder:
    """Compute the principal components; write coder.pt and latents.npy."""
    data = dataset.load(folder)
    coder = Coder()
    pixels = torch.from_numpy(data.pixels).permute(0, 3, 1, 2)
    own = [index for index, row in enumerate(data.rows) if not row.colour]
    coder.fit(pixels[own + list(range(0, len(pixels), 8))].float() / 127.5 - 1)
    kept, errors = [], []
    for some in pixels.split(1024):
        found = some.float() / 127.5 - 1
        latents = coder.encode(found)
        kept.append(latents.numpy())
        errors.append((coder.decode(latents).clamp(-1, 1) - found).square().mean(dim=(1, 2, 3)) / 4)
    np.save(folder / "latents.npy", np.concatenate(kept).astype(np.float32))
    torch.save(coder.state_dict(), folder / "coder.pt")
    print(f"{len(pixels)} images, PSNR {float(-10 * torch.cat(errors).log10().mean()):.2f} dB")
    return coder


def load_coder(folder: Path) -> Coder:
    """Load the coder that `fit_latents` wrote."""
    coder = Coder()
    coder.load_state_dict(torch.load(folder / "coder.pt", weights_only=True))
    return coder


def load_draft(folder: Path, name: str) -> Draft:
    """Load the averaged draft of a run."""
    state = cast(State, checkpoints.load(folder / f"draft-{name}.pt"))
    draft = Draft(DraftShape(**state["shape"]))
    draft.load_state_dict(state["average"])
    return draft.requires_grad_(requires_grad=False)


def load_transformer(folder: Path, name: str) -> Transformer:
    """Load the averaged transformer of a run, with its draft."""
    state = cast(State, checkpoints.load(folder / f"flow-{name}.pt"))
    transformer = Transformer(Shape(**state["shape"]), DraftShape(**state["draft_shape"]))
    transformer.load_state_dict(state["average"])
    return transformer.requires_grad_(requires_grad=False)


def load_finisher(folder: Path, name: str) -> Finisher:
    """Load the averaged finisher of a run."""
    finisher = Finisher()
    finisher.load_state_dict(cast(State, checkpoints.load(folder / f"finish-{name}.pt"))["average"])
    return finisher.requires_grad_(requires_grad=False)


def load_beholder(folder: Path, name: str) -> Beholder:
    """Load the averaged latent-to-caption network of a run."""
    average = cast(State, checkpoints.load(folder / f"behold-{name}.pt"))["average"]
    beholder = Beholder(len(average["back"]))
    beholder.load_state_dict(average)
    return beholder.requires_grad_(requires_grad=False)


class _Shaped(Trainer):
    """A trainer whose checkpoints contain the sizes of the networks."""

    def __init__(self, lesson: Lesson, pace: Pace, **shapes: object) -> None:
        super().__init__(lesson, pace)
        self._shapes = {name: asdict(shape) for name, shape in shapes.items()}  # type: ignore[call-overload]

    def state(self) -> State:
        """The state, including the sizes of the networks."""
        return {**super().state(), **self._shapes}


def main() -> None:
    """Train the network that the command line names."""
    arguments = _arguments()
    folder, name = arguments.folder, arguments.name
    if arguments.network == "latents":
        fit_latents(folder)
        return
    torch.manual_seed(arguments.seed)
    coder = load_coder(folder)
    examples = Examples(folder, tuple(arguments.styles), recoloured=arguments.network != "finish")
    muon = arguments.optimiser == "muon"
    pace = Pace(arguments.rate, arguments.batch, muon, arguments.decay, arguments.seed)
    path = folder / f"{arguments.network}-{name}.pt"
    if arguments.network == "draft":
        shape = DraftShape(width=arguments.width, depth=arguments.depth)
        lesson = DraftLesson(Draft(shape), examples, coder)
        run = _Shaped(lesson, pace, shape=shape)
        trainer.run(run, path, arguments.minutes)
        lesson.model.load_state_dict(run.average.state_dict())
        lesson.measure(torch.Generator().manual_seed(2))
        state = cast(State, checkpoints.load(path))
        state["average"] = lesson.model.state_dict()
        checkpoints.save(path, state)
        return
    draft = load_draft(folder, arguments.draft)
    if arguments.network == "flow":
        flow_shape = Shape(width=arguments.width, depth=arguments.depth)
        model = Transformer(flow_shape, draft.shape)
        model.draft.load_state_dict(draft.state_dict())
        taught: Lesson = FlowLesson(model, examples, coder)
        trainer.run(_Shaped(taught, pace, shape=flow_shape, draft_shape=draft.shape), path, arguments.minutes)
        return
    if arguments.network == "behold":
        lesson_ = BeholdLesson(Beholder(draft.shape.components), examples, coder, draft, _framed(folder, examples))
        trainer.run(Trainer(lesson_, pace), path, arguments.minutes)
        return
    pixels = torch.from_numpy(np.load(folder / "fine.npy")[examples.own])
    finisher = Finisher().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer.run(Trainer(FinishLesson(finisher, examples, coder, draft, pixels), pace), path, arguments.minutes)


def _framed(folder: Path, examples: Examples) -> torch.Tensor:
    """The examples' images, framed like the source of a variation."""
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    return torch.from_numpy(np.stack([center_drawing(pixels[index]) for index in examples.kept]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("network", choices=("latents", "draft", "flow", "finish", "behold"))
    parser.add_argument("--name", default="base")
    parser.add_argument("--draft", default="base")
    parser.add_argument("--styles", nargs="+", choices=STYLES, default=list(STYLES))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.998)
    parser.add_argument("--optimiser", choices=("muon", "adamw"), default="adamw")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
