"""The schedule of a training run: how often, in which order, how fast. Pure: the same for the same seed everywhere."""

import hashlib
import math
from functools import lru_cache

import msgspec

from homeport.domain.training import Hyperparameters

RATE = 1e-3  # AdamW on LoRA factors, times the multiplier
WARM_UP = 0.06  # of all steps
FLOOR = 0.1  # of the rate, at the end
BETA = 0.1
_MIN_EXAMPLES, _USUAL_EPOCHS, _MAX_EPOCHS, _MAX_EXAMPLES = 100, 3, 25, 25_000
_MAX_BATCH_SIZE = 256


def resolve_hyperparameters(wanted: Hyperparameters, examples: int) -> Hyperparameters:
    """Return the hyperparameters with every choice made: by OpenAI's rules three epochs, more for few examples."""
    epochs = _USUAL_EPOCHS
    if examples * epochs < _MIN_EXAMPLES:
        epochs = min(_MAX_EPOCHS, max(epochs, _MIN_EXAMPLES // examples))
    elif examples * epochs > _MAX_EXAMPLES:
        epochs = max(1, _MAX_EXAMPLES // examples)
    batch = min(_MAX_BATCH_SIZE, max(1, round(0.002 * examples)))
    return msgspec.structs.replace(
        wanted,
        n_epochs=wanted.n_epochs or epochs,
        batch_size=min(wanted.batch_size or batch, examples),
        learning_rate_multiplier=wanted.learning_rate_multiplier or 1.0,
        beta=wanted.beta or BETA,
    )


@lru_cache(maxsize=2)
def shuffle_order(n: int, seed: str) -> tuple[int, ...]:
    """Return the numbers below `n` in a seeded order: by hashes, which do not depend on a generator's version."""
    return tuple(sorted(range(n), key=lambda at: hashlib.blake2b(f"{seed} {at}".encode()).digest()))


class TrainingSchedule(msgspec.Struct, frozen=True):
    """The steps of a training run. Steps count from 0."""

    n_examples: int
    epochs: int
    batch: int
    multiplier: float
    seed: int

    @classmethod
    def from_hyperparameters(cls, chosen: Hyperparameters, n_examples: int) -> "TrainingSchedule":
        """Return the schedule of resolved hyperparameters."""
        return cls(
            n_examples,
            chosen.n_epochs or 1,
            min(chosen.batch_size or 1, n_examples),
            chosen.learning_rate_multiplier or 1.0,
            chosen.seed,
        )

    @property
    def per_epoch(self) -> int:
        """Steps of one epoch."""
        return math.ceil(self.n_examples / self.batch)

    @property
    def steps(self) -> int:
        """All steps."""
        return self.per_epoch * self.epochs

    def example_indices(self, step: int) -> tuple[int, ...]:
        """Return the indexes of a step's examples: each once per epoch, in another order each time."""
        epoch, at = divmod(step, self.per_epoch)
        return shuffle_order(self.n_examples, f"{self.seed} {epoch}")[at * self.batch : (at + 1) * self.batch]

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step: it rises over the first few steps, then falls linearly."""
        warm = max(1, round(WARM_UP * self.steps))
        rising = min(1.0, (step + 1) / warm)
        falling = 1.0 - (1.0 - FLOOR) * max(0, step - warm) / max(1, self.steps - warm)
        return RATE * self.multiplier * min(rising, falling)

    def ends_epoch(self, step: int) -> bool:
        """Return whether this step is its epoch's last."""
        return (step + 1) % self.per_epoch == 0
