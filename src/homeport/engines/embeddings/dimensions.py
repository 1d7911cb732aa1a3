"""How many dimensions vectors have: the model's own number, or fewer if it was trained for that. Knows no model."""

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import InvalidRequest

Vectors = NDArray[np.float32]


def choose_dimensions(wanted: int | None, own: int, minimum: int | None) -> int:
    """Return the number of dimensions of each vector: `wanted`, or `own` if that is None.

    `minimum`: the fewest that the model's vectors may be cut to; None: they cannot be cut. Raises InvalidRequest if
    the model does not support what is wanted.
    """
    if wanted is None or wanted == own:
        return own
    if minimum is None:
        raise InvalidRequest(
            f"This model's vectors have {own} dimensions and cannot be shortened: leave 'dimensions' out or set it "
            f"to {own}.",
            param="dimensions",
        )
    if not minimum <= wanted <= own:
        raise InvalidRequest(
            f"This model's vectors have {minimum} to {own} dimensions, not {wanted}.", param="dimensions"
        )
    return wanted


def truncate(rows: Vectors, dimensions: int) -> Vectors:
    """Return the first dimensions of vectors of length 1, normalized to length 1 again."""
    if dimensions == rows.shape[1]:
        return rows
    cut = rows[:, :dimensions]
    return np.asarray(cut / np.linalg.norm(cut, axis=1, keepdims=True), np.float32)
