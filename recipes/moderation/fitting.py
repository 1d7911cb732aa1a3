"""Fits the head, one hidden layer, with Adam on all examples at once, in numpy. The result is deterministic.

Several fits from different starts are averaged in one wider layer, which is more stable than each of them. Thresholds
are chosen on examples that were not used for the fit. Optimizer: Kingma and Ba 2015. Knows nothing of texts.
"""

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.engines.moderation import head

Floats = NDArray[np.float32]
Weights = dict[str, Floats]


class Recipe(msgspec.Struct, frozen=True):
    """Hyperparameters. `decay`: weight decay. `noise`: noise on features. `positive`: weight of positive examples."""

    hidden: int = 32
    starts: int = 4
    steps: int = 300
    rate: float = 0.01
    decay: float = 0.004
    noise: float = 1.0
    positive: float = 2.0


def fit(rows: Floats, wanted: Floats, recipe: Recipe) -> Weights:
    """Fit the weights for `head.forward`, without thresholds."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    normalized = (rows - mean) / spread
    parts = [_one(normalized, wanted, recipe, seed) for seed in range(recipe.starts)]
    return {
        "mean": mean,
        "spread": spread,
        "hidden.kernel": np.concatenate([part["hidden.kernel"] for part in parts], axis=1),
        "hidden.bias": np.concatenate([part["hidden.bias"] for part in parts]),
        "answers.kernel": np.concatenate([part["answers.kernel"] for part in parts]) / recipe.starts,
        "answers.bias": np.mean([part["answers.bias"] for part in parts], axis=0),
    }


def unseen(rows: Floats, wanted: Floats, fold: NDArray[np.int64], recipe: Recipe) -> Floats:
    """The score of each example by a head that was fitted without its fold. `fold`: the fold of each example."""
    scores = np.empty_like(wanted)
    for number in np.unique(fold):
        weights = fit(rows[fold != number], wanted[fold != number], recipe)
        scores[fold == number] = head.forward(weights, rows[fold == number])
    return scores


def thresholds(scores: Floats, wanted: Floats) -> Floats:
    """The threshold of each category with the greatest F0.7, between 0.2 and 0.8."""
    found = []
    for column in range(wanted.shape[1]):
        steps = np.linspace(0.2, 0.8, 61)
        best = max(steps, key=lambda step: (_f_measure(scores[:, column] >= step, wanted[:, column]), -abs(step - 0.5)))
        found.append(best)
    return np.array(found, np.float32)


def _f_measure(flagged: NDArray[np.bool_], wanted: Floats) -> float:
    """The F-measure that weights precision twice as much as recall."""
    hits = float(flagged @ wanted)
    weight = 0.5  # beta squared
    return (1 + weight) * hits / (weight * float(wanted.sum()) + float(flagged.sum()) or 1)


def _one(rows: Floats, wanted: Floats, recipe: Recipe, seed: int) -> Weights:
    random = np.random.default_rng(seed)
    sizes = rows.shape[1], recipe.hidden, wanted.shape[1]
    weights: Weights = {
        "hidden.kernel": random.normal(0, 1 / np.sqrt(sizes[0]), sizes[:2]).astype(np.float32),
        "hidden.bias": np.zeros(sizes[1], np.float32),
        "answers.kernel": random.normal(0, 1 / np.sqrt(sizes[1]), sizes[1:]).astype(np.float32),
        "answers.bias": np.full(sizes[2], -2, np.float32),
    }
    step = _adam(weights, recipe)
    for _ in range(recipe.steps):
        noisy = rows + random.standard_normal(rows.shape, np.float32) * np.float32(recipe.noise)
        step(_gradient(weights, noisy, wanted, recipe))
    return weights


def _gradient(weights: Weights, rows: Floats, wanted: Floats, recipe: Recipe) -> Weights:
    """The gradient of the cross entropy, in which positive examples have more weight."""
    hidden = np.tanh(rows @ weights["hidden.kernel"] + weights["hidden.bias"])
    answers = 1 / (1 + np.exp(-(hidden @ weights["answers.kernel"] + weights["answers.bias"])))
    off = (answers - wanted) * np.where(wanted > 0, np.float32(recipe.positive), np.float32(1)) / np.float32(len(rows))
    back = (off @ weights["answers.kernel"].T) * (1 - hidden**2)
    return {
        "hidden.kernel": rows.T @ back,
        "hidden.bias": back.sum(axis=0),
        "answers.kernel": hidden.T @ off,
        "answers.bias": off.sum(axis=0),
    }


def _adam(weights: Weights, recipe: Recipe) -> Callable[[Weights], None]:
    first = {name: np.zeros_like(value) for name, value in weights.items()}
    second = {name: np.zeros_like(value) for name, value in weights.items()}
    count = 0

    def step(gradients: Weights) -> None:
        nonlocal count
        count += 1
        for name, gradient in gradients.items():
            first[name] += 0.1 * (gradient - first[name])
            second[name] += 0.001 * (gradient**2 - second[name])
            size = np.sqrt(second[name] / (1 - 0.999**count)) + 1e-8
            weights[name] -= recipe.rate * (first[name] / (1 - 0.9**count)) / size
            if name.endswith("kernel"):
                weights[name] *= 1 - recipe.rate * recipe.decay * 10

    return step
