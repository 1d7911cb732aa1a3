"""Precision, recall and area under the curve of one category."""

import msgspec
import numpy as np
from numpy.typing import NDArray

FEW = 20
"""A figure from fewer positive examples is marked."""


class Measured(msgspec.Struct, frozen=True):
    """The figures of one category on one set. None if undefined: nothing is flagged, or one class has no examples."""

    positives: int
    negatives: int
    precision: float | None
    recall: float | None
    auc: float | None


def measure(scores: NDArray[np.float32], wanted: NDArray[np.bool_], threshold: float) -> Measured:
    """Compare scores with the labels."""
    said = scores >= threshold
    hits, flagged, positives = int((said & wanted).sum()), int(said.sum()), int(wanted.sum())
    over, under = scores[wanted][:, None], scores[~wanted][None]
    wins = (over > under).mean() + (over == under).mean() / 2 if over.size and under.size else None
    return Measured(
        positives=positives,
        negatives=len(wanted) - positives,
        precision=hits / flagged if flagged else None,
        recall=hits / positives if positives else None,
        auc=None if wins is None else float(wins),
    )
