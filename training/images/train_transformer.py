"""Train the transformer on latents and caption vectors. Goes on from its checkpoint; SIGTERM saves and ends.

`python -m training.images.train_transformer FOLDER --minutes 80 --name base`
"""

import argparse
import copy
import json
import math
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from training.images import checkpoints, flow
from training.images.checkpoints import State
from training.images.examples import Examples, Source
from training.images.pictures import STYLES
from training.images.transformer import Shape, Transformer

_WARM = 100
_DECAY = 0.998  # of the running average of weights, once warm
_LINE = 25  # steps between lines of the log


class Trainer:
    """One run's state: the model, its running average, two optimisers, the draws of chance."""

    def __init__(self, examples: Source, shape: Shape, rate: float, seed: int, *, muon: bool, batch: int = 64) -> None:
        torch.manual_seed(seed)
        self.model = Transformer(shape)
        self.model.reading.fit(examples.seen)
        self.average = copy.deepcopy(self.model).requires_grad_(requires_grad=False)
        self.examples, self.rate, self.batch = examples, rate, batch
        self.generator = torch.Generator().manual_seed(seed)
        self.done, self.seconds = 0, 0.0
        matrices = [
            value for value in self.model.blocks.parameters() if muon and value.ndim == 2 and value.shape[0] > 6
        ]
        chosen = {id(value) for value in matrices}
        others = [value for value in self.model.parameters() if id(value) not in chosen]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(others, rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        ]
        if matrices:
            self.optimisers.append(
                torch.optim.Muon(matrices, rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw", ns_steps=4)
            )

    def step(self, progress: float) -> float:
        """One batch; `progress`, 0 to 1, sets the rate: up in _WARM steps, level, then down over the last third."""
        factor = min(1.0, (self.done + 1) / _WARM) * min(1.0, max(0.03, (1 - progress) * 3))
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.rate * factor
        lost = flow.loss(self.model, self.examples.draw(self.batch, self.generator), self.generator)
        self.model.zero_grad()
        lost.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.done += 1
        decay = min(_DECAY, (1 + self.done) / (10 + self.done))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        return float(lost.detach())

    def state(self) -> State:
        """All that is needed to go on, and to use the average."""
        return {
            "shape": asdict(self.model.shape),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "generator": self.generator.get_state(),
            "done": self.done,
            "seconds": self.seconds,
            "mean": self.examples.mean,
            "spread": self.examples.spread,
        }

    def resume(self, state: State) -> None:
        """Go on from there."""
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self.generator.set_state(state["generator"])
        self.done, self.seconds = state["done"], state["seconds"]


def run(trainer: Trainer, path: Path, steps: int, minutes: float) -> None:
    """Train until `steps` or `minutes` of CPU time, all runs of this name together; whichever comes first.

    CPU time, so that a run that is held or starved does not lower its rate without having learnt.
    """
    interrupted = checkpoints.Interrupted()
    saver = checkpoints.Saver(path, 120, trainer.state)
    recent: list[float] = []
    last = time.process_time()
    while not interrupted:
        progress = max(trainer.done / steps, trainer.seconds / (60 * minutes))
        if progress >= 1:
            break
        recent.append(trainer.step(progress))
        now = time.process_time()
        trainer.seconds, last = trainer.seconds + now - last, now
        if trainer.done % _LINE == 0:
            line = {
                "step": trainer.done,
                "loss": round(math.fsum(recent) / len(recent), 4),
                "seconds": round(trainer.seconds),
            }
            with path.with_suffix(".log").open("a") as log:
                log.write(json.dumps(line) + "\n")
            recent = []
        saver()
    saver(now=True)


def main() -> None:
    """Read what is asked for, and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="base")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=80)
    parser.add_argument("--width", type=int, default=Shape().width)
    parser.add_argument("--depth", type=int, default=Shape().depth)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--optimiser", choices=("muon", "adamw"), default="muon")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--styles", nargs="+", choices=STYLES, default=list(STYLES))
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    shape = replace(Shape(), width=asked.width, depth=asked.depth)
    examples = Examples(asked.folder, tuple(asked.styles))
    muon = asked.optimiser == "muon"
    trainer = Trainer(examples, shape, asked.rate, asked.seed, muon=muon, batch=asked.batch)
    path = asked.folder / f"transformer-{asked.name}.pt"
    if state := checkpoints.load(path):
        trainer.resume(state)
    run(trainer, path, asked.steps, asked.minutes)


if __name__ == "__main__":
    main()
