"""Computes prompts with llama.cpp, through the server's own executor. Knows nothing of other ways."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.prompts.computer import Ids
from bench.prompts.model_weights import VOCABULARY, FloatArray
from bench.prompts.way import AT_ONCE, Way
from homeport.engines.text.executor import TokenBatch
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load

_BATCH = 2048


class LlamaComputer:
    """Implements `PromptComputer`. Prompts that fit one batch are computed in it together."""

    def __init__(self, executor: LlamaExecutor) -> None:
        self._executor = executor

    @property
    def description(self) -> str:
        """The kernels."""
        return self._executor.kernels

    def compute(self, prompts: Sequence[Ids]) -> FloatArray:
        """Compute prompts of one length; return the logits (prompts, VOCABULARY) after each one's last token."""
        length = len(prompts[0])
        together = max(1, _BATCH // length)
        found = []
        for first in range(0, len(prompts), together):
            sequences = range(first, min(first + together, len(prompts)))
            for start in range(0, length, _BATCH):
                end = min(start + _BATCH, length)
                ends = np.arange(1, len(sequences) + 1) * (end - start) - 1
                batch = TokenBatch(
                    tokens=np.concatenate([prompts[sequence][start:end] for sequence in sequences]),
                    positions=np.tile(np.arange(start, end, dtype=np.int32), len(sequences)),
                    sequences=np.repeat(np.array(sequences, np.int32), end - start),
                    logits_indices=ends.astype(np.int32) if end == length else np.empty(0, np.int32),
                )
                logits = self._executor.forward(batch)
            found.append(logits[:, :VOCABULARY].copy())
        self._executor.release(range(len(prompts)))
        return np.concatenate(found)


def open_computer(way: Way, file: Path, library: Path | None, threads: int) -> LlamaComputer:
    """Load a file as the server does, with memory for all prompts. Raises Unavailable."""
    options = LlamaOptions(
        sequences=AT_ONCE, batch=_BATCH, threads=threads, library=library, micro_batch=way.micro_batch
    )
    return LlamaComputer(load(file, options))
