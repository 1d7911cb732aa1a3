"""Fits the projection of pictures and of texts by contrast, in numpy on one processor. Knows nothing of files.

In a batch, each picture must find its name among all names, and each name its picture (InfoNCE, both ways); other
pictures of the same concept do not count as wrong. Adam with decoupled weight decay; the rate falls to zero linearly.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.engines.embeddings.dual_encoder.projection import Numbers, normalize

Floats = NDArray[np.float32]
Weights = dict[str, Floats]


class Recipe(msgspec.Struct, frozen=True):
    """The numbers of the training. `hidden`: width of the layer between features and space."""

    hidden: int = 512
    epochs: int = 60
    batch: int = 512
    rate: float = 1e-3
    decay: float = 0.05
    dropout: float = 0.6
    noise: float = 0.4
    log_scale: float = 2.3
    seed: int = 0


class Examples(msgspec.Struct, frozen=True):
    """Pictures as features, one row each, the texts that name each (rows of `texts`), and what each shows."""

    pictures: Floats
    texts: Floats
    names: Sequence[Sequence[int]]
    concepts: NDArray[np.int64]


def fit(examples: Examples, recipe: Recipe) -> Weights:
    """Return the weights: `hidden.*`, `output.kernel`, `direct.*` for pictures, `text.kernel` for texts, `scale`."""
    rng = np.random.default_rng(recipe.seed)
    weights = initial_weights(examples.texts.shape[1], examples.pictures.shape[1], recipe)
    optimizer = _Adam(weights, recipe)
    steps = recipe.epochs * (len(examples.pictures) // recipe.batch)
    for at, batch in enumerate(_batches(rng, len(examples.pictures), recipe)):
        chosen = [names[int(rng.integers(len(names)))] for names in (examples.names[int(index)] for index in batch)]
        pictures = examples.pictures[batch]
        pictures = pictures + np.float32(recipe.noise) * rng.standard_normal(pictures.shape, np.float32)
        changes = gradients(weights, pictures, examples.texts[chosen], examples.concepts[batch], rng, recipe)
        optimizer.step(changes, 1 - at / steps)
    return weights


def initial_weights(outputs: int, inputs: int, recipe: Recipe) -> Weights:
    """Return random layers and a map of texts that changes nothing."""
    rng = np.random.default_rng(recipe.seed)

    def kernel(rows: int, columns: int) -> Floats:
        bound = rows**-0.5
        return rng.uniform(-bound, bound, (rows, columns)).astype(np.float32)

    return {
        "hidden.kernel": kernel(inputs, recipe.hidden),
        "hidden.bias": np.zeros(recipe.hidden, np.float32),
        "output.kernel": kernel(recipe.hidden, outputs),
        "direct.kernel": kernel(inputs, outputs),
        "direct.bias": np.zeros(outputs, np.float32),
        "text.kernel": np.eye(outputs, dtype=np.float32),
        "scale": np.array(recipe.log_scale, np.float32),
    }


def _batches(rng: np.random.Generator, count: int, recipe: Recipe) -> Iterator[NDArray[np.int64]]:
    for _ in range(recipe.epochs):
        order = rng.permutation(count)
        for start in range(0, count - recipe.batch + 1, recipe.batch):
            yield order[start : start + recipe.batch]


def gradients(
    weights: Weights,
    pictures: Floats,
    texts: Floats,
    concepts: NDArray[np.int64],
    rng: np.random.Generator,
    recipe: Recipe,
) -> Weights:
    """Return the gradient of the loss for each weight."""
    dropped = pictures * _mask(rng, pictures.shape, recipe.dropout)
    before = dropped @ weights["hidden.kernel"] + weights["hidden.bias"]
    keep = _mask(rng, before.shape, recipe.dropout) * (before > 0)
    hidden = before * keep
    raw_pictures = pictures @ weights["direct.kernel"] + weights["direct.bias"] + hidden @ weights["output.kernel"]
    raw_texts = texts @ weights["text.kernel"]
    left, right = normalize(raw_pictures), normalize(raw_texts)
    scale = np.exp(weights["scale"])
    cosines = left @ right.T
    errors = _errors(scale * cosines, concepts)
    to_left = _through_norm(scale * errors @ right, left, raw_pictures)
    to_right = _through_norm(scale * errors.T @ left, right, raw_texts)
    to_before = (to_left @ weights["output.kernel"].T) * keep
    return {
        "hidden.kernel": dropped.T @ to_before,
        "hidden.bias": to_before.sum(0),
        "output.kernel": hidden.T @ to_left,
        "direct.kernel": pictures.T @ to_left,
        "direct.bias": to_left.sum(0),
        "text.kernel": texts.T @ to_right,
        "scale": np.asarray(scale * (errors * cosines).sum(), np.float32),
    }


def _mask(rng: np.random.Generator, shape: tuple[int, ...], rate: float) -> Floats:
    return np.asarray((rng.random(shape, np.float32) >= rate) / np.float32(1 - rate), np.float32)


def _errors(logits: Numbers, concepts: NDArray[np.int64]) -> Floats:
    """Return the gradient of the loss at the logits: of pictures to names and of names to pictures, averaged."""
    same = concepts[:, None] == concepts[None]
    np.fill_diagonal(same, False)
    logits = np.where(same, np.float32(-1e4), logits)
    rows = np.exp(logits - logits.max(1, keepdims=True))
    columns = np.exp(logits - logits.max(0, keepdims=True))
    errors = rows / rows.sum(1, keepdims=True) + columns / columns.sum(0, keepdims=True)
    errors[np.diag_indices(len(errors))] -= 2
    return np.asarray(errors / (2 * len(errors)), np.float32)


def _through_norm(gradient: Numbers, unit: Numbers, raw: Numbers) -> Floats:
    """Return the gradient before rows were divided by their length."""
    along = (gradient * unit).sum(1, keepdims=True)
    return np.asarray((gradient - unit * along) / np.linalg.norm(raw, axis=1, keepdims=True), np.float32)


class _Adam:
    """Changes weights in place."""

    def __init__(self, weights: Weights, recipe: Recipe) -> None:
        self._weights = weights
        self._recipe = recipe
        self._first = {name: np.zeros_like(value) for name, value in weights.items()}
        self._second = {name: np.zeros_like(value) for name, value in weights.items()}
        self._count = 0

    def step(self, gradients: Weights, share: float) -> None:
        """Change the weights. `share`: of the full rate."""
        self._count += 1
        rate = self._recipe.rate * share
        for name, gradient in gradients.items():
            first, second, value = self._first[name], self._second[name], self._weights[name]
            first += np.float32(0.1) * (gradient - first)
            second += np.float32(0.001) * (gradient**2 - second)
            size = np.sqrt(second / np.float32(1 - 0.999**self._count)) + np.float32(1e-8)
            if name.endswith("kernel"):
                value *= np.float32(1 - rate * self._recipe.decay)
            value -= np.float32(rate / (1 - 0.9**self._count)) * first / size
