"""The training loop: steps, learning rate, running average of weights, checkpoints, log. Knows nothing of images."""

import copy
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from recipes.images import checkpoints
from recipes.images.checkpoints import State
from recipes.images.objectives import Lesson

_WARM = 100
_LINE = 50  # steps between lines of the log


@dataclass(frozen=True, slots=True)
class Pace:
    """The learning rate and batch size. `decay`: of the running average of weights, after the warm-up."""

    rate: float = 2e-3
    batch: int = 128
    muon: bool = False
    decay: float = 0.998
    seed: int = 1


class Trainer:
    """The state of a run: the model, its running average, the optimizers, the random generator."""

    def __init__(self, lesson: Lesson, pace: Pace) -> None:
        self.lesson, self.pace = lesson, pace
        self.average = copy.deepcopy(lesson.model).requires_grad_(requires_grad=False)
        self.generator = torch.Generator().manual_seed(pace.seed)
        self.done, self.seconds = 0, 0.0
        matrices = lesson.matrices() if pace.muon else []
        chosen = {id(value) for value in matrices}
        self._trained = [(name, value) for name, value in lesson.model.named_parameters() if value.requires_grad]
        others = [value for _, value in self._trained if id(value) not in chosen]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(others, pace.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        ]
        if matrices:
            self.optimisers.append(
                torch.optim.Muon(matrices, pace.rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw", ns_steps=4)
            )
        averaged = dict(self.average.named_parameters())
        self._averaged: list[torch.Tensor] = [averaged[name] for name, _ in self._trained]

    def step(self, progress: float) -> float:
        """Train on one batch; return its loss. The rate rises in _WARM steps and falls in the last half of the run."""
        factor = min(1.0, (self.done + 1) / _WARM) * min(1.0, max(0.02, (1 - progress) * 2))
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.pace.rate * factor
        lost = self.lesson.loss(self.pace.batch, self.generator)
        self.lesson.model.zero_grad()
        lost.backward()
        values: list[torch.Tensor] = [value for _, value in self._trained]
        torch.nn.utils.clip_grad_norm_(values, 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self.done += 1
        decay = min(self.pace.decay, (1 + self.done) / (10 + self.done))
        with torch.no_grad():
            torch._foreach_lerp_(self._averaged, values, 1 - decay)
        return float(lost.detach())

    def state(self) -> State:
        """Everything that is needed to resume, and to use the average."""
        return {
            "model": self.lesson.model.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "generator": self.generator.get_state(),
            "done": self.done,
            "seconds": self.seconds,
        }

    def resume(self, state: State) -> None:
        """Restore a state."""
        self.lesson.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self.generator.set_state(state["generator"])
        self.done, self.seconds = state["done"], state["seconds"]


def run(trainer: Trainer, path: Path, minutes: float) -> None:
    """Train until the runs of this name have used `minutes` of CPU time.

    CPU time is used so that the rate of a suspended run does not fall without training.
    """
    if state := checkpoints.load(path):
        trainer.resume(state)
    interrupted = checkpoints.Interrupted()
    saver = checkpoints.Saver(path, 60, trainer.state)
    recent: list[float] = []
    last = time.process_time()
    while not interrupted:
        progress = trainer.seconds / (60 * minutes)
        if progress >= 1:
            break
        recent.append(trainer.step(progress))
        now = time.process_time()
        trainer.seconds, last = trainer.seconds + now - last, now
        if trainer.done % _LINE == 0:
            line = {
                "step": trainer.done,
                "loss": round(math.fsum(recent) / len(recent), 5),
                "seconds": round(trainer.seconds),
            }
            with path.with_suffix(".log").open("a") as log:
                log.write(json.dumps(line) + "\n")
            recent = []
        saver()
    saver(now=True)
