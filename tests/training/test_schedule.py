"""The schedule of a training run: hyperparameters, order, rate."""

import pytest

from homeport.domain.training import Hyperparameters
from homeport.training.schedule import RATE, TrainingSchedule, resolve_hyperparameters


@pytest.mark.parametrize(
    ("examples", "epochs", "batch"), [(1, 25, 1), (10, 10, 1), (50, 3, 1), (1000, 3, 2), (50_000, 1, 100)]
)
def test_defaults_follow_the_number_of_examples(examples: int, epochs: int, batch: int) -> None:
    """Few examples are repeated more often, many are in larger batches; given values are unchanged."""
    chosen = resolve_hyperparameters(Hyperparameters(), examples)
    assert (chosen.n_epochs, chosen.batch_size, chosen.learning_rate_multiplier) == (epochs, batch, 1.0)
    given = Hyperparameters(n_epochs=2, batch_size=1, learning_rate_multiplier=0.5, beta=0.3, seed=7)
    assert resolve_hyperparameters(given, examples) == given


def test_every_epoch_has_every_example_once_in_another_order() -> None:
    """Steps split each epoch's order into batches; the seed determines the order."""
    course = TrainingSchedule(7, 3, 2, 1.0, 0)
    assert (course.per_epoch, course.steps) == (4, 12)
    epochs = [
        [place for step in range(first, first + 4) for place in course.example_indices(step)] for first in (0, 4, 8)
    ]
    assert all(sorted(order) == list(range(7)) for order in epochs)
    assert len({tuple(order) for order in epochs}) == 3
    assert TrainingSchedule(7, 3, 2, 1.0, 1).example_indices(0) != course.example_indices(0) or TrainingSchedule(
        7, 3, 2, 1.0, 1
    ).example_indices(1) != course.example_indices(1)
    assert [step for step in range(12) if course.ends_epoch(step)] == [3, 7, 11]


def test_the_rate_rises_then_falls() -> None:
    """It never exceeds the multiplied rate and is never 0."""
    course = TrainingSchedule(100, 1, 1, 2.0, 0)
    rates = [course.learning_rate(step) for step in range(100)]
    peak = rates.index(max(rates))
    assert 0 < peak < 10
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < min(rates) <= max(rates) <= 2 * RATE
