"""Runs where the extra `train` is installed (torch, onnx), and nowhere else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from training.images.autoencoder import Autoencoder  # noqa: E402
from training.images.examples import Batch  # noqa: E402
from training.images.train_transformer import Trainer  # noqa: E402
from training.images.transformer import Shape  # noqa: E402

from homeport.engines.images.painters.clipart.networks import Networks  # noqa: E402
from training.images import checkpoints, export, flow  # noqa: E402

SHAPE = Shape(width=64, depth=2, head=32, components=16)


class Drawn:
    """Stands in for the pictures: noise with vectors."""

    mean, spread = torch.zeros(8, 1, 1), torch.ones(8, 1, 1)
    seen = torch.randn(200, 384, generator=torch.Generator().manual_seed(3))

    def draw(self, count: int, generator: Any) -> Batch:
        picked = torch.randint(0, 200, (count,), generator=generator)
        latents = torch.randn(count, 8, 8, 8, generator=generator)
        return Batch(latents, self.seen[picked], torch.zeros(count, dtype=torch.int64))


def _trainer() -> Trainer:
    return Trainer(Drawn(), SHAPE, 1e-3, seed=1, muon=True, batch=8)


def test_a_run_that_is_cut_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Two steps, a checkpoint and two more lose as much as four in a row."""
    whole = _trainer()
    losses = [whole.step(0.1) for _ in range(4)]
    first = _trainer()
    begun = [first.step(0.1) for _ in range(2)]
    checkpoints.save(tmp_path / "t.pt", first.state())
    second = _trainer()
    state = checkpoints.load(tmp_path / "t.pt")
    assert state is not None
    second.resume(state)
    assert [*begun, *(second.step(0.1) for _ in range(2))] == pytest.approx(losses, rel=1e-3)


class Four(Drawn):
    """Four pictures, each with a vector of its own."""

    pictures = torch.randn(4, 8, 8, 8, generator=torch.Generator().manual_seed(4))

    def draw(self, count: int, generator: Any) -> Batch:
        picked = torch.randint(0, 4, (count,), generator=generator)
        return Batch(self.pictures[picked], self.seen[picked], torch.zeros(count, dtype=torch.int64))


def test_training_teaches_which_picture_a_caption_means() -> None:
    """After a short run on four pictures, each one's caption walks from noise to it and to no other."""
    trainer = Trainer(Four(), SHAPE, 3e-3, seed=1, muon=True, batch=64)
    for step in range(240):
        trainer.step(step / 240)
    styles = torch.zeros(4, dtype=torch.int64)
    chance = torch.Generator().manual_seed(5)
    made = flow.sample(trainer.average, Four.seen[:4], styles, chance, steps=12, guidance=1.5)
    apart = torch.cdist(made.flatten(1), Four.pictures.flatten(1)) / 512**0.5
    assert apart.argmin(dim=1).tolist() == [0, 1, 2, 3]
    assert float(apart.diagonal().max()) < 0.5, apart


@pytest.mark.filterwarnings("ignore")
def test_the_exported_networks_compute_what_the_trained_ones_do(tmp_path: Path) -> None:
    """Half-precision weights cost little; one picture and two give the same."""
    trainer = _trainer()
    trainer.step(0.1)
    checkpoints.save(tmp_path / "transformer-x.pt", trainer.state())
    checkpoints.save(tmp_path / "autoencoder.pt", {"model": Autoencoder().state_dict()})
    export.export(tmp_path, "x", tmp_path / "out")
    networks = Networks({role: tmp_path / "out" / f"{role}.onnx" for role in ("step", "decoder", "encoder")}, 1)
    model, _, _, _ = export.models(tmp_path, "x")
    latents, vectors, told = torch.randn(2, 8, 8, 8), torch.randn(2, 384), torch.tensor([1.0, 0.0])
    with torch.no_grad():
        style = torch.ones(2, dtype=torch.int64)
        wanted = model(latents, torch.full((2,), 0.3), model.reading(vectors), style, told).numpy()
    got = networks.velocity(latents.numpy(), 0.3, vectors.numpy(), told.numpy())
    one = networks.velocity(latents[:1].numpy(), 0.3, vectors[:1].numpy(), told[:1].numpy())
    assert np.abs(got - wanted).max() < 0.01 * np.abs(wanted).max() + 1e-3
    assert np.abs(one - wanted[:1]).max() < 0.01 * np.abs(wanted).max() + 1e-3
    pixels = np.full((64, 64, 3), 200, np.uint8)
    assert networks.decode(networks.encode(pixels)).shape == (64, 64, 3)
