"""Models loaded with both sets of kernels."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from homeport.engines.text.executor import TokenBatch
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.engines.text.executors.llama.kv_sizing import Kv

# Kernels spin while they wait for one another: with two threads on a busy machine the tests take ten times as long.
THREADS = 1


@pytest.fixture
def smol(library: Path | None, smollm2: Path) -> Iterator[Callable[..., LlamaExecutor]]:
    """Load SmolLM2 with the given options; loaded models are closed afterwards."""
    opened: list[LlamaExecutor] = []

    def open_with(
        *, window: int = 512, cells: int = 2048, sequences: int = 4, batch: int = 256, kv: Kv = "unified"
    ) -> LlamaExecutor:
        options = LlamaOptions(window, cells, sequences=sequences, batch=batch, threads=THREADS, library=library, kv=kv)
        opened.append(load(smollm2, options))
        return opened[-1]

    yield open_with
    for executor in opened:
        executor.close()


@pytest.fixture(scope="session")
def chat(library: Path | None, qwen: Path) -> Iterator[LlamaExecutor]:
    """The default text model with a small cache."""
    executor = load(qwen, LlamaOptions(window=512, cells=512, sequences=2, batch=256, threads=THREADS, library=library))
    yield executor
    executor.close()


@pytest.fixture(scope="session")
def batch() -> Callable[..., TokenBatch]:
    """Build a batch of one sequence: ids from a position on, with logits for all tokens or only for the last."""

    def build(ids: list[int], *, sequence: int = 0, start: int = 0, last: bool = False) -> TokenBatch:
        count = len(ids)
        return TokenBatch(
            tokens=np.array(ids, np.int32),
            positions=np.arange(start, start + count, dtype=np.int32),
            sequences=np.full(count, sequence, np.int32),
            logits_indices=np.array([count - 1] if last else range(count), np.int32),
        )

    return build
