"""Train the network. Training resumes from its checkpoint; SIGTERM saves the state and ends.

`python -m recipes.tunes.train FOLDER --minutes 4` (CPU time). Writes FOLDER/tunes.pt and its log.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recipes.images import checkpoints, trainer
from recipes.images.checkpoints import State
from recipes.images.trainer import Pace, Trainer
from recipes.tunes import dataset
from recipes.tunes.dataset import Data
from recipes.tunes.encoding import Row, row
from recipes.tunes.network import Size, TuneNetwork

_WINDOW = 256
_IGNORED = -100


def batch(rows: list[Row], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Values, headings and the next tokens of rows of similar length; long ones are cut at random."""
    longest = min(max(len(row.values) for row in rows) - 1, _WINDOW)
    values = torch.zeros(len(rows), longest, rows[0].values.shape[1], dtype=torch.int64)
    targets = torch.full((len(rows), longest), _IGNORED)
    for index, one in enumerate(rows):
        spare = max(len(one.values) - 1 - longest, 0)
        start = int(torch.randint(spare + 1, (1,), generator=generator))
        part = torch.from_numpy(one.values[start : start + longest + 1])
        values[index, : len(part) - 1], targets[index, : len(part) - 1] = part[:-1], part[1:, 0]
    return values, torch.tensor([one.heading for one in rows]), targets


def loss(network: TuneNetwork, rows: list[Row], generator: torch.Generator) -> Tensor:
    """Mean of nats per token."""
    values, headings, targets = batch(rows, generator)
    return functional.cross_entropy(network(values, headings).flatten(0, 1), targets.flatten(), ignore_index=_IGNORED)


class TuneLesson:
    """The next token of tunes of similar length."""

    def __init__(self, model: TuneNetwork, data: Data) -> None:
        self.model = model
        rows = [row(song, data.vocabulary) for song in data.trained]
        self._rows = sorted(rows, key=lambda one: len(one.values))

    def matrices(self) -> list[nn.Parameter]:
        """The matrices of the blocks."""
        return [value for value in self.model.blocks.parameters() if value.ndim == 2]

    def loss(self, count: int, generator: torch.Generator) -> Tensor:
        """The loss of tunes that stand together when sorted by length."""
        start = int(torch.randint(len(self._rows) - count + 1, (1,), generator=generator))
        return loss(self.model, self._rows[start : start + count], generator)


def held_out_loss(network: TuneNetwork, data: Data) -> float:
    """Nats per token of the tunes that were not trained on."""
    network.eval()
    generator = torch.Generator().manual_seed(0)
    rows = [row(song, data.vocabulary) for song in data.held_out]
    with torch.no_grad():
        return float(np.mean([float(loss(network, [one], generator)) for one in rows]))


def load(folder: Path) -> tuple[TuneNetwork, State]:
    """Load the averaged network and the state of its training."""
    state = checkpoints.load(folder / "tunes.pt")
    if state is None:
        raise FileNotFoundError("Nothing is trained yet.")
    network = TuneNetwork(Size(**json.loads((folder / "tunes-size.json").read_text())))
    network.load_state_dict(state["average"])
    return network.eval(), state


def main() -> None:
    """Train and print the loss on held-out tunes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=4, help="CPU minutes of all runs together")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=128, help="a multiple of 32; the heads have 32 each")
    parser.add_argument("--layers", type=int, default=3)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)
    data = dataset.load(arguments.folder)
    width = arguments.width
    size = Size(len(data.vocabulary), width, arguments.layers, heads=width // 32, hidden=3 * width)
    (arguments.folder / "tunes-size.json").write_text(json.dumps(asdict(size)))
    lesson = TuneLesson(TuneNetwork(size), data)
    pace = Pace(arguments.rate, arguments.batch, decay=0.995, seed=arguments.seed)
    trainer.run(Trainer(lesson, pace), arguments.folder / "tunes.pt", arguments.minutes)
    report(arguments.folder, data)


def report(folder: Path, data: Data) -> None:
    """Print and keep what was trained: steps, CPU minutes, and the loss of the held-out tunes."""
    network, state = load(folder)
    trained = {
        "steps": state["done"],
        "cpu_minutes": round(state["seconds"] / 60, 1),
        "parameters": sum(value.numel() for value in network.parameters()),
        "held_out_nats": round(held_out_loss(network, data), 3),
    }
    (folder / "trained.json").write_text(json.dumps(trained), "utf-8")
    print(trained)


if __name__ == "__main__":
    main()
