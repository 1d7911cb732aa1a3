"""Parts of a batch of tokens. Knows nothing of what computes them."""

import numpy as np
from numpy.typing import NDArray

from homeport.engines.text.executor import TokenBatch


def select(batch: TokenBatch, tokens: NDArray[np.bool_]) -> TokenBatch:
    """Return the batch of the masked tokens, with the logits indices that are among them, renumbered."""
    index = np.cumsum(tokens, dtype=np.int32) - 1
    rows = batch.logits_indices[tokens[batch.logits_indices]]
    columns = batch.tokens[tokens], batch.positions[tokens], batch.sequences[tokens], index[rows]
    return TokenBatch(*columns, batch.adapter)
