"""Measures recall: how often the right name is among the nearest of all names, and the right picture among pictures."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.engines.embeddings.dual_encoder.projection import Projection
from recipes.glance.concepts import MEASURED, Split
from recipes.glance.dataset import PLAIN, Dataset, Drawing
from recipes.glance.features import Floats, Seen

DEPTHS = (1, 5, 10)
Recall = tuple[float, ...]
"""In percent, by depth."""
_ROUNDING = np.float32(1e-6)


class Measured(msgspec.Struct, frozen=True):
    """One row of the card: what is looked for among how many, and the recall."""

    what: str
    language: str
    queries: int
    candidates: int
    recall: Recall


def measure(dataset: Dataset, trained: Projection) -> list[Measured]:
    """Measure what the card states."""
    return [*emoji(dataset, trained, "test"), *stamps(dataset, trained)]


def recall(similarities: Floats, correct: NDArray[np.int64]) -> Recall:
    """Return the share of rows whose correct column is among the greatest; columns as great (the same name) are too."""
    right = similarities[np.arange(len(similarities)), correct][:, None]
    ranks = (similarities > right + _ROUNDING).sum(axis=1)
    return tuple(round(100 * float((ranks < depth).mean()), 1) for depth in DEPTHS)


def emoji(dataset: Dataset, trained: Projection, split: Split) -> list[Measured]:
    """Measure pictures to names on the concepts of a split, among its names, and among all names in English."""
    drawings = drawings_of(dataset, split)
    codes = [code for code, concept in dataset.concepts.items() if concept.split == split]
    rows = project(trained, dataset.seen, drawings)
    measured = [_names(dataset, trained, rows, drawings, codes, language) for language in MEASURED]
    return [*measured, _names(dataset, trained, rows, drawings, list(dataset.concepts), "en")]


def stamps(dataset: Dataset, trained: Projection) -> list[Measured]:
    """Measure stamps to descriptions and back, in each language among those that have a description in it."""
    images = trained.project_images(dataset.seen_stamps.features, dataset.seen_stamps.classes)
    measured = []
    for language in MEASURED:
        chosen = [at for at, stamp in enumerate(dataset.stamps) if language in stamp.names]
        texts = trained.project_texts(dataset.vectors([dataset.stamps[at].names[language] for at in chosen]))
        similarities = np.asarray(images[chosen] @ texts.T, np.float32)
        correct = np.arange(len(chosen))
        for what, table in (("stamp to description", similarities), ("description to stamp", similarities.T)):
            measured.append(Measured(what, language, len(chosen), len(chosen), recall(table, correct)))
    return measured


def drawings_of(dataset: Dataset, split: Split) -> list[Drawing]:
    """Return the drawings of a split as they are."""
    known = dataset.concepts
    return [each for each in dataset.drawings if each.variant == PLAIN and known[each.code].split == split]


def project(trained: Projection, seen: Mapping[str, Seen], drawings: Sequence[Drawing]) -> Floats:
    """Return the vectors of drawings."""
    features, classes = rows(seen, drawings)
    return trained.project_images(features, classes)


def rows(seen: Mapping[str, Seen], drawings: Sequence[Drawing]) -> tuple[Floats, Floats]:
    """Return the features and class probabilities of drawings."""
    features = np.stack([seen[each.set].features[each.row] for each in drawings])
    return features, np.stack([seen[each.set].classes[each.row] for each in drawings])


def _names(
    dataset: Dataset,
    trained: Projection,
    images: Floats,
    drawings: Sequence[Drawing],
    codes: Sequence[str],
    language: str,
) -> Measured:
    place = {code: at for at, code in enumerate(codes)}
    texts = trained.project_texts(dataset.vectors(dataset.names(codes, language)))
    correct = np.array([place[each.code] for each in drawings])
    found = recall(np.asarray(images @ texts.T, np.float32), correct)
    return Measured("emoji to name", language, len(drawings), len(codes), found)
