"""The filters of sampling: min-p, top-k and top-p choose the candidates. Knows nothing of temperature or noise."""

import numpy as np
from numpy.typing import NDArray

_GROWTH = 16.0  # factor by which the threshold for candidates falls
_MAX_SORTED = 1024  # up to this many weights are sorted at once


def filter_candidates(weights: NDArray[np.float32], *, top_k: int, top_p: float, min_p: float) -> NDArray[np.int64]:
    """Return the ids that pass the filters, unordered, ties broken by lower id; at least one.

    `weights` are probabilities relative to the likeliest token's, which is 1. top-p counts the mass of what min-p and
    top-k leave. Only candidates above a falling threshold are considered, and only those near the cut are sorted.
    """
    enough_mass = top_p * float(weights.sum(dtype=np.float64)) if not (top_k or min_p) else np.inf
    threshold = 1.0 / _GROWTH
    while True:
        ids = np.flatnonzero(weights >= max(threshold, min_p))
        selected = weights[ids]
        is_enough = top_k > 0 and len(ids) >= top_k
        if is_enough or threshold <= min_p or threshold == 0.0 or selected.sum(dtype=np.float64) >= enough_mass:
            break
        threshold = threshold / _GROWTH if threshold > 1e-30 else 0.0
    if top_k:
        ids, selected = _largest(ids, selected, top_k)
    if top_k or min_p:
        enough_mass = top_p * float(selected.sum(dtype=np.float64))
    return _nucleus(ids, selected, enough_mass)


def _largest(
    ids: NDArray[np.int64], weights: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the `count` largest weights with their ids; of equal ones the first."""
    if len(ids) <= count:
        return ids, weights
    least = np.partition(weights, len(weights) - count)[len(weights) - count]
    taken = weights > least
    taken[np.flatnonzero(weights == least)[: count - int(taken.sum())]] = True
    return ids[taken], weights[taken]


def _nucleus(ids: NDArray[np.int64], weights: NDArray[np.float32], enough: float) -> NDArray[np.int64]:
    """Return the ids of the largest weights that together reach the mass `enough`, or all; of equal ones the first.

    The cut is searched between bounds: weights that are certainly inside are summed and never sorted.
    """
    inside: list[NDArray[np.int64]] = []
    mass = 0.0
    while len(ids) > _MAX_SORTED:
        middle = np.sort(weights[:: len(weights) // 64])[32]
        upper = weights >= middle
        if upper.all():  # the sample's smallest weight is the smallest of all
            upper = weights > middle
        places = np.flatnonzero(upper)  # indexing by integers takes a quarter of the time of a mask
        if not len(places):
            break  # all are equal
        larger = weights[places]
        above = mass + float(larger.sum(dtype=np.float64))
        if above >= enough:
            ids, weights = ids[places], larger
            continue
        inside.append(ids[places])
        mass, places = above, np.flatnonzero(~upper)
        ids, weights = ids[places], weights[places]
    order = np.argsort(-weights, kind="stable")
    masses = mass + np.cumsum(weights[order], dtype=np.float64)
    return np.concatenate([*inside, ids[order[: int(np.searchsorted(masses, enough)) + 1]]])
