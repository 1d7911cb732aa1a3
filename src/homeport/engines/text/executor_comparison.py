"""Compares executors of one model: how fast each computes, and how close its logits are to the original's.

Uses the executor interface only. Knows nothing of weights or kernels.
"""

import statistics
import time
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.weight_layouts import Fidelity, Speed
from homeport.engines.text import reference_texts
from homeport.engines.text.executor import Executor, TokenBatch

WINDOW = 512
"""Tokens of a window; the first half is context, the second half is scored."""

_HALF = WINDOW // 2
_ROWS = 128  # rows of logits at a time: half a window's would be hundreds of MB for a large vocabulary
_WINDOWS_PER_TEXT = {"english": 2, "chinese": 2, "code": 1}
_CONTEXT, _STEPS = 32, 4  # tokens before the decode steps that are timed, and their number

LogProbs = NDArray[np.float16]


class WindowScores(msgspec.Struct):
    """One window: log-probabilities (scored tokens, vocabulary), and the token that follows each scored one."""

    rows: LogProbs
    next_tokens: NDArray[np.int32]

    def surprise(self) -> NDArray[np.float64]:
        """Return the negative log-likelihood of each next token, in nats."""
        return -self.rows[np.arange(len(self.next_tokens)), self.next_tokens].astype(np.float64)


def measure_speeds(executors: Mapping[str, Executor], rounds: int) -> dict[str, Speed]:
    """Return medians over rounds in which the executors take turns, so that other load affects all equally."""
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in executors}
    for executor in executors.values():
        _measure_decode(executor, 1)  # loads the weights into memory
    for _ in range(rounds):
        for name, executor in executors.items():
            runs[name].append((_measure_prefill(executor), _measure_decode(executor, 1), _measure_decode(executor, 16)))
    return {
        name: Speed(*(statistics.median(values) for values in zip(*run, strict=True))) for name, run in runs.items()
    }


def reference_windows(executor: Executor) -> list[list[int]]:
    """Return the reference texts as windows of tokens, each with the model's own start token."""
    token_windows = []
    for name, count in _WINDOWS_PER_TEXT.items():
        ids = executor.tokenize(reference_texts.text(name), special=False)
        pieces = [ids[start : start + WINDOW - 1] for start in range(0, len(ids) - WINDOW + 2, WINDOW - 1)]
        token_windows += [[executor.vocabulary.document_token, *piece] for piece in pieces[:count]]
    return token_windows


def score_window(executor: Executor, window: list[int]) -> WindowScores:
    """Score the second half of a window."""
    executor.forward(_batch(window[:_HALF], 0, 0, []))
    parts = []
    for start in range(_HALF, WINDOW - 1, _ROWS):
        end = min(start + _ROWS, WINDOW - 1)
        rows = executor.forward(_batch(window[start:end], start, 0, range(end - start)))
        shifted = rows - rows.max(axis=1, keepdims=True)
        shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        parts.append(shifted.astype(np.float16))
    executor.release([0])
    return WindowScores(np.concatenate(parts), np.array(window[_HALF + 1 :], np.int32))


def measure_fidelity(original: list[WindowScores], executor: Executor, windows: list[list[int]]) -> Fidelity:
    """Compare an executor with the scores `original` of the same windows."""
    surprise, divergence, agreed = [], [], []
    for before, window in zip(original, windows, strict=True):
        after = score_window(executor, window)
        surprise.append(after.surprise())
        p, q = before.rows.astype(np.float32), after.rows.astype(np.float32)
        divergence.append((np.exp(p) * (p - q)).sum(axis=1))
        agreed.append(p.argmax(axis=1) == q.argmax(axis=1))
    return Fidelity(
        perplexity=float(np.exp(np.mean(surprise))),
        original=float(np.exp(np.mean([before.surprise() for before in original]))),
        divergence=float(np.mean(divergence)),
        agreement=float(np.mean(agreed)),
    )


def _measure_prefill(executor: Executor) -> float:
    step = min(WINDOW, executor.traits.batch)
    ids = range(1000, 1000 + step)
    began = time.perf_counter()
    executor.forward(_batch([each % executor.vocabulary.size for each in ids], 0, 0, [step - 1]))
    spent = time.perf_counter() - began
    executor.release([0])
    return step / spent


def _measure_decode(executor: Executor, count: int) -> float:
    sequences = np.arange(count, dtype=np.int32)
    executor.forward(_batch(list(range(1, _CONTEXT + 1)), 0, 0, []))
    for sequence in range(1, count):
        executor.fork(0, sequence, _CONTEXT)
    spent = []
    for step in range(_STEPS):
        began = time.perf_counter()
        executor.forward(TokenBatch(sequences + 1, np.full(count, _CONTEXT + step, np.int32), sequences, sequences))
        spent.append(time.perf_counter() - began)
    executor.release(range(count))
    return count / statistics.median(spent)


def _batch(ids: list[int], start: int, sequence: int, logits_indices: range | list[int]) -> TokenBatch:
    return TokenBatch(
        tokens=np.array(ids, np.int32),
        positions=np.arange(start, start + len(ids), dtype=np.int32),
        sequences=np.full(len(ids), sequence, np.int32),
        logits_indices=np.array(logits_indices, np.int32),
    )
