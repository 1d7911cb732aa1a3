"""The networks. `make image-test` runs these tests in an environment with torch and onnx."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from homeport.engines.images.pipelines.clipart.networks import LATENT, SIDE, Networks
from recipes.images import (
    checkpoints,
    export,
    objectives,
    train,
)
from recipes.images.draft import Draft, DraftShape
from recipes.images.examples import Batch
from recipes.images.latent_to_caption import Beholder
from recipes.images.latents import Coder, Finisher, doubled
from recipes.images.objectives import BeholdLesson, DraftLesson, FlowLesson
from recipes.images.trainer import Pace, Trainer
from recipes.images.transformer import Shape, Transformer

DRAFT = DraftShape(components=16, width=64, depth=1)
SHAPE = Shape(width=64, depth=2, head=32)


class Four:
    """A fake dataset: four images, each with its own vector, among unrelated vectors."""

    latents = torch.randn(4, *LATENT, generator=torch.Generator().manual_seed(4))
    styles = torch.ones(4, dtype=torch.int64)
    seen = torch.randn(200, 384, generator=torch.Generator().manual_seed(3))

    def draw(self, count: int, generator: Any) -> Batch:
        picked = torch.randint(0, 4, (count,), generator=generator)
        return Batch(picked, self.seen[picked], self.styles[picked])


def _draft() -> DraftLesson:
    torch.manual_seed(1)
    return DraftLesson(Draft(DRAFT), Four(), Coder())


def _pictures() -> torch.Tensor:
    """Four images that differ clearly, also when tilted or moved."""
    made = torch.full((4, 64, 64, 3), 255, dtype=torch.uint8)
    for index, colour in enumerate(((200, 30, 30), (30, 160, 60), (30, 60, 200), (20, 20, 20))):
        made[index, 8:56, 8:56] = torch.tensor(colour, dtype=torch.uint8)
    return made


def _flow(draft: Draft | None = None, *, muon: bool = True) -> Trainer:
    torch.manual_seed(1)
    model = Transformer(SHAPE, DRAFT)
    model.draft.load_state_dict((draft or _draft().model).state_dict())
    return Trainer(FlowLesson(model, Four(), Coder()), Pace(3e-3, 64, muon=muon, decay=0.98))


@pytest.mark.parametrize("muon", [True, False])
def test_an_interrupted_run_resumes_exactly(tmp_path: Path, muon: bool) -> None:
    """Two steps, a checkpoint and two more steps have the same loss as four steps."""
    whole = _flow(muon=muon)
    losses = [whole.step(0.1) for _ in range(4)]
    first = _flow(muon=muon)
    begun = [first.step(0.1) for _ in range(2)]
    checkpoints.save(tmp_path / "t.pt", first.state())
    second = _flow(muon=muon)
    state = checkpoints.load(tmp_path / "t.pt")
    assert state is not None
    second.resume(state)
    assert [*begun, *(second.step(0.1) for _ in range(2))] == pytest.approx(losses, rel=1e-3)


def test_training_associates_captions_with_images() -> None:
    """After short runs on four images, each caption yields its image, as a draft and by sampling."""
    lesson = _draft()
    drafts = Trainer(lesson, Pace(3e-3, 64, decay=0.98))
    for step in range(200):
        drafts.step(step / 200)
    lesson.measure(torch.Generator().manual_seed(2))
    flow = _flow(lesson.model)
    for step in range(60):
        flow.step(step / 60)
    chance = torch.Generator().manual_seed(5)
    assert isinstance(flow.average, Transformer)
    made = objectives.sample(flow.average, Four.seen[:4], Four.styles, chance, steps=12)
    apart = torch.cdist(made.flatten(1), Four.latents.flatten(1)) / np.prod(LATENT) ** 0.5
    assert apart.argmin(dim=1).tolist() == [0, 1, 2, 3]
    assert float(apart.diagonal().max()) < 0.5, apart


def test_images_yield_their_captions() -> None:
    """After a short run on four images, the vector of each, also when moved, is nearest to its caption's."""
    drafts, coder = _draft(), Coder()
    shown = _pictures()
    coder.fit(shown.permute(0, 3, 1, 2).float() / 127.5 - 1 + 0.01 * torch.randn(4, 3, 64, 64))
    lesson = BeholdLesson(Beholder(DRAFT.components), Four(), coder, drafts.model, shown)
    trainer = Trainer(lesson, Pace(3e-3, 64, decay=0.95))
    for step in range(60):
        trainer.step(step / 60)
    placed = objectives.placed(shown.permute(0, 3, 1, 2).float() / 127.5 - 1, torch.Generator().manual_seed(7))
    received = trainer.average(coder.encode(placed))
    seen = torch.cdist(received, Four.seen[:4] / Four.seen[:4].norm(dim=1, keepdim=True))
    assert seen.argmin(dim=1).tolist() == [0, 1, 2, 3]


def test_doubling_repeats_each_pixel() -> None:
    """Width and height double, and no pixels are mixed."""
    pixels = torch.arange(24.0).view(2, 3, 2, 2)
    assert doubled(pixels).equal(pixels.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))


def test_components_reconstruct_images() -> None:
    """Images of few different patches are reconstructed without loss."""
    chance = torch.Generator().manual_seed(6)
    patches = torch.rand(8, 3, 8, 8, generator=chance)
    tiles = patches[torch.randint(0, 8, (20, 8, 8), generator=chance)]
    pixels = tiles.permute(0, 3, 1, 4, 2, 5).reshape(20, 3, 64, 64) * 2 - 1
    coder = Coder()
    coder.fit(pixels)
    assert float((coder.decode(coder.encode(pixels)) - pixels).abs().max()) < 0.01


@pytest.mark.filterwarnings("ignore")
def test_the_exported_networks_compute_what_the_trained_ones_do(tmp_path: Path) -> None:
    """The loss of half precision is small, and a batch of one yields the same as a batch of two."""
    trainer: Trainer = Trainer(_draft(), Pace(3e-3, 64))
    trainer.step(0.1)
    checkpoints.save(tmp_path / "draft-x.pt", {**trainer.state(), "shape": asdict(DRAFT)})
    checkpoints.save(tmp_path / "finish-y.pt", {"average": Finisher().state_dict()})
    checkpoints.save(tmp_path / "behold-z.pt", {"average": Beholder().state_dict()})
    torch.save(Coder().state_dict(), tmp_path / "coder.pt")
    export.export(tmp_path, export.Names("x", "y", "z"), tmp_path / "out")
    networks = Networks({role: tmp_path / "out" / f"{role}.onnx" for role in ("step", "decoder", "encoder")}, 1)
    draft = train.load_draft(tmp_path, "x")
    latents, vectors, received = torch.randn(2, *LATENT), torch.randn(2, 384), torch.tensor([1.0, 0.0])
    with torch.no_grad():
        style = torch.ones(2, dtype=torch.int64)
        wanted = export.Step(draft)(latents, torch.full((2,), 0.3), vectors, style, received).numpy()
    got = networks.velocity(latents.numpy(), 0.3, vectors.numpy(), received.numpy(), 1)
    one = networks.velocity(latents[:1].numpy(), 0.3, vectors[:1].numpy(), received[:1].numpy(), 1)
    assert np.abs(got - wanted).max() < 0.01 * np.abs(wanted).max() + 1e-3
    assert np.abs(one - wanted[:1]).max() < 0.01 * np.abs(wanted).max() + 1e-3
    pixels = np.full((SIDE, SIDE, 3), 200, np.uint8)
    encoded, vector = networks.encode(pixels)
    assert vector.shape == (384,)
    assert networks.decode(encoded).shape == (SIDE, SIDE, 3)
