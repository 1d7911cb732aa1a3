"""Log-probabilities of tokens: the log-softmax of the raw logits, before penalties, bias and temperature.

Only rows that need them are computed. Knows nothing of how a token was sampled.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.engines.text.executor import Logits
from homeport.engines.text.step_plan import LogitsRow

# Replaces minus infinity, which JSON lacks. OpenAI uses the same number.
FLOOR = -9999.0


class TokenScore(msgspec.Struct, frozen=True):
    """A token's log-probability (natural log; None for a document's first token), and the likeliest tokens there.

    `top` pairs ids with log-probabilities, likeliest first, ties by id.
    """

    token: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


def score(logits: Logits, tokens: Sequence[int], top: Sequence[int]) -> list[TokenScore]:
    """Score one token per row: (M, V) logits, M tokens, and the number of alternatives for each row."""
    scores = []
    for row, token, k in zip(logits, tokens, top, strict=True):
        best = row.max()
        total = float(best) + float(np.log(np.exp(row - best).sum(dtype=np.float64)))
        alternatives = tuple((int(id), max(float(row[id]) - total, FLOOR)) for id in _top(row, k))
        scores.append(TokenScore(token, max(float(row[token]) - total, FLOOR), alternatives))
    return scores


def score_runs(
    logits: Logits, rows: Sequence[LogitsRow], runs: Sequence[Sequence[int]], tops: Sequence[int | None]
) -> list[list[TokenScore | None]]:
    """Score every token sampled at each row, with the row's number of alternatives in `tops`; None: not scored."""
    scores: list[list[TokenScore | None]] = []
    for row, run, top in zip(rows, runs, tops, strict=True):
        if top is None:
            scores.append([None] * len(run))
        else:
            scores.append([*score(logits[row.index : row.index + len(run)], run, [top] * len(run))])
    return scores


def _top(row: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the ids of the k largest values, largest first, ties by id."""
    k = min(k, len(row))
    if k == 0:
        return np.empty(0, dtype=np.int64)
    # By threshold and not by argpartition's order, so that the choice between equal logits is deterministic.
    candidates = np.flatnonzero(row >= np.partition(row, len(row) - k)[len(row) - k])
    return candidates[np.argsort(-row[candidates], kind="stable")[:k]]
