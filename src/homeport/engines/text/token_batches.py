"""Parts of a batch of tokens. Knows nothing of what computes them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homeport.engines.text.executor import TokenBatch


class Run(NamedTuple):
    """The tokens of one sequence in a batch: `n_tokens` from index `first` on, the first of them at `start`."""

    sequence: int
    first: int
    n_tokens: int
    start: int

    @property
    def part(self) -> slice:
        """Its indices in the batch."""
        return slice(self.first, self.first + self.n_tokens)


def runs_of(batch: TokenBatch) -> list[Run]:
    """Return the sequences of a batch in its order."""
    edges = [0, *(np.flatnonzero(np.diff(batch.sequences)) + 1).tolist(), len(batch.tokens)]
    sequences, starts = batch.sequences[edges[:-1]].tolist(), batch.positions[edges[:-1]].tolist()
    return [
        Run(sequence, first, end - first, start)
        for sequence, start, first, end in zip(sequences, starts, edges, edges[1:], strict=False)
    ]


def select(batch: TokenBatch, tokens: NDArray[np.bool_]) -> TokenBatch:
    """Return the batch of the masked tokens, with the logits indices that are among them, renumbered.

    All embeddings of a run are masked, or none.
    """
    index = np.cumsum(tokens, dtype=np.int32) - 1
    rows = batch.logits_indices[tokens[batch.logits_indices]]
    columns = batch.tokens[tokens], batch.positions[tokens], batch.sequences[tokens], index[rows]
    media = tuple(run._replace(first=int(index[run.first])) for run in batch.media if tokens[run.first])
    return TokenBatch(*columns, batch.adapter, media)
