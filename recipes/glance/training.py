"""Builds the examples, fits the projections, and chooses how much the class names count. Knows nothing of files."""

from collections.abc import Sequence

import numpy as np

from homeport.engines.embeddings.dual_encoder import projection
from homeport.engines.embeddings.dual_encoder.projection import Projection
from recipes.glance import evaluation, fitting
from recipes.glance.concepts import class_texts
from recipes.glance.dataset import Dataset, Drawing
from recipes.glance.features import Floats
from recipes.glance.fitting import Examples, Recipe, Weights

WIDTH = 256
"""The dimensions of the space."""
SHARES = tuple(round(0.05 * step, 2) for step in range(21))
"""The shares of the class names that are tried on the development split."""

_MARGIN = 0.05  # added to the features' spread: some are nearly always zero
_QUANTILE = 0.25
_SURE = 0.8  # of a class, for the example made of its weights


def train(dataset: Dataset, recipe: Recipe) -> Weights:
    """Return all weights of the projections. Nothing of the test split or of the stamps is read."""
    training = [each for each in dataset.drawings if dataset.concepts[each.code].split == "train"]
    mean, whitening = _whiten(dataset)
    features, classes = evaluation.rows(dataset.seen, training)
    center, spread = features.mean(0), features.std(0) + np.float32(_MARGIN)
    examples = _examples(
        dataset, training, projection.standardize(features, classes, center, spread), (mean, whitening)
    )
    fitted = fitting.fit(examples, recipe)
    weights = {name: fitted[name] for name in fitted if name not in ("text.kernel", "scale")}
    weights |= {"features.mean": center, "features.spread": spread}
    weights |= {"text.mean": mean, "text.kernel": whitening @ fitted["text.kernel"]}
    names = np.stack([dataset.vectors(class_texts(name)).mean(0) for name in dataset.classes])
    weights["class.vectors"] = projection.normalize((names - mean) @ weights["text.kernel"])
    weights["class.share"] = np.array(choose_share(dataset, weights), np.float32)
    return weights


def choose_share(dataset: Dataset, weights: Weights) -> float:
    """Return the share of the class names with the best recall among the first five on the development split."""

    def quality(share: float) -> float:
        trained = Projection({**weights, "class.share": np.array(share, np.float32)})
        measured = evaluation.emoji(dataset, trained, "development")
        return sum(each.recall[1] for each in measured)

    return max(SHARES, key=quality)


def _whiten(dataset: Dataset) -> tuple[Floats, Floats]:
    """Return the mean of the text model's vectors, and the map to their main directions, each of about one spread.

    Found on the names that are trained on: all vectors of this model point much the same way.
    """
    known = {text for each in dataset.concepts.values() if each.split == "train" for text in each.texts}
    known |= {text for name in dataset.classes for text in class_texts(name)}
    rows = dataset.vectors(sorted(known)).astype(np.float64)
    mean = rows.mean(0)
    variances, directions = np.linalg.eigh(np.cov((rows - mean).T))
    variances, directions = variances[-WIDTH:], directions[:, -WIDTH:]
    directions *= np.sign(directions[np.abs(directions).argmax(0), np.arange(WIDTH)])  # the same on every machine
    kernel = directions / np.sqrt(variances + np.quantile(variances, _QUANTILE))
    return mean.astype(np.float32), kernel.astype(np.float32)


def _examples(
    dataset: Dataset, training: Sequence[Drawing], inputs: Floats, text_map: tuple[Floats, Floats]
) -> Examples:
    """Return the drawings with their names in all languages and in phrases, and ImageNet's classes with theirs.

    No picture of a class is needed: the weights of a class in the network's last layer are features that show it.
    """
    places = {code: at for at, code in enumerate(dataset.concepts)}
    texts: dict[str, int] = {}
    names = []
    for each in training:
        own = dataset.concepts[each.code].texts
        names.append([texts.setdefault(text, len(texts)) for text in own])
    names += [[texts.setdefault(text, len(texts)) for text in class_texts(name)] for name in dataset.classes]
    shown = [*(places[each.code] for each in training), *range(len(places), len(places) + len(dataset.classes))]
    mean, whitening = text_map
    vectors = projection.normalize((dataset.vectors(list(texts)) - mean) @ whitening)
    return Examples(np.concatenate([inputs, _class_inputs(dataset.class_weights)]), vectors, names, np.array(shown))


def _class_inputs(weights: Floats) -> Floats:
    """Return the inputs of the layers for each class: its weights as features, and almost all of the probability."""
    features = weights - weights.mean(0)
    level = features / np.sqrt((features**2).mean(axis=1, keepdims=True))
    return np.concatenate([level, projection.scale_classes(_SURE * np.eye(len(weights)))], axis=1, dtype=np.float32)
