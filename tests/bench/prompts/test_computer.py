from collections.abc import Sequence

import numpy as np
import pytest

from bench.prompts.computer import GraphComputer, Pass, passes
from bench.prompts.model_weights import FloatArray
from tests.bench.prompts import models


@pytest.mark.parametrize(
    ("prompts", "length", "expected"),
    [
        (3, 40, [Pass(0, 2, 0, 40), Pass(2, 3, 0, 40)]),
        (1, 250, [Pass(0, 1, 0, 100), Pass(0, 1, 100, 200), Pass(0, 1, 200, 250)]),
        (2, 110, [Pass(0, 1, 0, 100), Pass(0, 1, 100, 110), Pass(1, 2, 0, 100), Pass(1, 2, 100, 110)]),
        (2, 100, [Pass(0, 1, 0, 100), Pass(1, 2, 0, 100)]),
    ],
)
def test_passes(prompts: int, length: int, expected: Sequence[Pass]) -> None:
    """Short prompts are computed together, long ones in parts, at most a chunk of 100 tokens at a time."""
    assert list(passes(prompts, length, 100)) == expected


class _Recorder:
    """A graph that returns what it is given."""

    description = "recorder"

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    def begin(self, prompts: int, length: int) -> None:
        self.calls.append((prompts, length))

    def run(self, embedded: FloatArray, start: int) -> FloatArray:
        self.calls.append((*embedded.shape[:2], start))
        return embedded


def test_the_kv_of_each_group_of_prompts_begins_empty() -> None:
    """A graph forgets its KV before each group of prompts, and the last token of each prompt gives its logits."""
    model = models.weights(pairs=False)
    graph = _Recorder()
    prompts = [np.array(ids, np.int32) for ids in ([1, 2, 3], [4, 5, 6], [7, 8, 9])]
    found = GraphComputer(graph, model, chunk=6).compute(prompts)
    assert graph.calls == [(2, 3), (2, 3, 0), (1, 3), (1, 3, 0)]
    np.testing.assert_allclose(found, model.logits(model.embedding[[3, 6, 9]]), rtol=1e-5, atol=1e-6)
