"""The projections of homeport-glance-256: from an image network's outputs and a text model's vectors to one space.

Their weights are in the file next to this module; `recipes/glance` trains them, and docs/glance-model-card.md has their
quality. Knows nothing of files of images, of tokens or of requests.
"""

from collections.abc import Mapping
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homeport.engines.embeddings.dual_encoder.towers import Vectors

Floats = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]

_CLASS_SCALE = np.float32(8)  # of the roots of the probabilities, next to standardized features
_NEAREST_CLASSES = 10  # whose names are mixed in


class Projection:
    """The trained layers.

    An image's vector is that of a network with one hidden layer, plus a share of the vectors of the names of the ten
    most probable classes, weighted by their probabilities (ConSE, Norouzi et al. 2014).
    """

    def __init__(self, weights: Mapping[str, Numbers]) -> None:
        self._weights: Mapping[str, Floats] = {name: value.astype(np.float32) for name, value in weights.items()}

    @property
    def dimensions(self) -> int:
        """The dimensions of the vectors."""
        return int(self._weights["text.kernel"].shape[1])

    @property
    def class_share(self) -> float:
        """The weight of the class names in an image's vector, next to 1 for the layers."""
        return float(self._weights["class.share"])

    def project_images(self, features: Floats, classes: Floats) -> Vectors:
        """Return vectors of length 1. `features`: (n, 1280); `classes`: probabilities, (n, 1000)."""
        weights = self._weights
        inputs = standardize(features, classes, weights["features.mean"], weights["features.spread"])
        share = weights["class.share"]
        return normalize(project_inputs(weights, inputs) + share * mix_classes(classes, weights["class.vectors"]))

    def project_texts(self, vectors: Floats) -> Vectors:
        """Return vectors of length 1. `vectors`: of the text model, (n, 384)."""
        return normalize((vectors - self._weights["text.mean"]) @ self._weights["text.kernel"])


def load_built_in() -> Projection:
    """Load the projections that come with this program."""
    file = resources.files("homeport.engines.embeddings.dual_encoder").joinpath("projection.npz")
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        return Projection({name: arrays[name] for name in arrays.files})


def standardize(features: Floats, classes: Floats, mean: Floats, spread: Floats) -> Floats:
    """Return the inputs of the layers: features of one length, and the roots of the probabilities."""
    centered = (features - mean) / spread
    level = centered / np.sqrt((centered**2).mean(axis=1, keepdims=True))
    return np.concatenate([level, scale_classes(classes)], axis=1, dtype=np.float32)


def scale_classes(classes: Numbers) -> Floats:
    """Return the inputs of the layers for probabilities."""
    return np.asarray(np.sqrt(classes) * _CLASS_SCALE, np.float32)


def project_inputs(weights: Mapping[str, Numbers], inputs: Numbers) -> Vectors:
    """Apply the layers to standardized inputs; vectors of length 1."""
    hidden = np.maximum(inputs @ weights["hidden.kernel"] + weights["hidden.bias"], 0)
    return normalize(inputs @ weights["direct.kernel"] + weights["direct.bias"] + hidden @ weights["output.kernel"])


def mix_classes(classes: Floats, vectors: Floats) -> Vectors:
    """Return the mean of the vectors of the most probable classes, weighted by probability, of length 1."""
    kept = np.zeros_like(classes)
    nearest = np.argpartition(-classes, _NEAREST_CLASSES, axis=1)[:, :_NEAREST_CLASSES]
    np.put_along_axis(kept, nearest, np.take_along_axis(classes, nearest, axis=1), axis=1)
    return normalize(kept @ vectors)


def normalize(rows: Numbers) -> Vectors:
    """Return rows of length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
