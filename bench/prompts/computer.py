"""The interface of what computes prompts, and the part that the graphs share: passes of one or several prompts.

Knows nothing of a library.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.prompts.model_weights import FloatArray, Weights

Ids = NDArray[np.int32]


class PromptComputer(Protocol):
    """Computes prompts; it keeps nothing of them afterwards."""

    @property
    def description(self) -> str:
        """The library and its version."""
        ...

    def compute(self, prompts: Sequence[Ids]) -> FloatArray:
        """Compute prompts of one length; return the logits (prompts, VOCABULARY) after each one's last token."""
        ...


class Graph(Protocol):
    """A compiled graph of a model's blocks. It holds the KV of the prompts that it computes."""

    @property
    def description(self) -> str:
        """The library and its version."""
        ...

    def begin(self, prompts: int, length: int) -> None:
        """Forget all KV, and expect this many prompts of this length."""
        ...

    def run(self, embedded: FloatArray, start: int) -> FloatArray:
        """Compute the next tokens, given as (prompts, tokens, width); return the last block's output, as large."""
        ...


class GraphComputer:
    """Computes prompts with a graph, `chunk` tokens at a time. Implements `PromptComputer`."""

    def __init__(self, graph: Graph, weights: Weights, chunk: int) -> None:
        self._graph = graph
        self._weights = weights
        self._chunk = chunk

    @property
    def description(self) -> str:
        """The library and its version."""
        return self._graph.description

    def compute(self, prompts: Sequence[Ids]) -> FloatArray:
        """Compute prompts of one length; return the logits (prompts, VOCABULARY) after each one's last token."""
        ids = np.stack(prompts)
        found = []
        for run in passes(len(prompts), ids.shape[1], self._chunk):
            if run.start == 0:
                self._graph.begin(run.last - run.first, ids.shape[1])
            embedded = self._weights.embedding[ids[run.first : run.last, run.start : run.end]]
            hidden = self._graph.run(embedded, run.start)
            if run.end == ids.shape[1]:
                found.append(self._weights.logits(hidden[:, -1]))
        return np.concatenate(found)


class Pass(msgspec.Struct, frozen=True):
    """One pass: the tokens `start` to `end` of the prompts `first` to `last` (the ends not included)."""

    first: int
    last: int
    start: int
    end: int


def passes(prompts: int, length: int, chunk: int) -> Iterator[Pass]:
    """Divide prompts of one length into passes of `chunk` tokens at most: whole ones together, long ones in parts."""
    together = max(1, chunk // length)
    for first in range(0, prompts, together):
        for start in range(0, length, chunk):
            yield Pass(first, min(first + together, prompts), start, min(start + chunk, length))
