"""Draw what a step's logits say: one token for each row, and more where the draws repeat what was guessed.

A guess only decides where logits exist already. Each token is drawn from the logits behind the tokens drawn before
it, with the noise of its own position, so the tokens are those that would be drawn without guesses. Knows nothing of
how guesses are made or what becomes of the tokens.
"""

from collections.abc import Sequence

from homeport.engines.text.executor import Logits
from homeport.engines.text.logprobs import TokenScore, score
from homeport.engines.text.sampling import TokenSampler, sample
from homeport.engines.text.step_plan import LogitsRow


def sample_runs(logits: Logits, rows: Sequence[LogitsRow], draws: Sequence[TokenSampler]) -> list[list[int]]:
    """For each row the tokens drawn: those of its draft that the draws repeat, and one more.

    `logits` (M, V) are only read; every draw is told of its tokens. Raises EngineFailed where a row holds no number
    to choose by.
    """
    runs: list[list[int]] = [[] for _ in rows]
    depth = 0
    agreed = list(range(len(rows)))
    while agreed:
        views = [logits[rows[place].index + depth] for place in agreed]
        for place, token in zip(agreed, sample(views, [draws[place] for place in agreed]).tolist(), strict=True):
            draws[place].accept(token)
            runs[place].append(token)
        agreed = [place for place in agreed if rows[place].draft[depth : depth + 1] == (runs[place][depth],)]
        depth += 1
    return runs


def score_runs(
    logits: Logits, rows: Sequence[LogitsRow], runs: Sequence[Sequence[int]], tops: Sequence[int | None]
) -> list[list[TokenScore | None]]:
    """The log-probability of every token drawn, with `tops` alternatives; None where a row's `tops` is None."""
    scores: list[list[TokenScore | None]] = []
    for row, run, top in zip(rows, runs, tops, strict=True):
        if top is None:
            scores.append([None] * len(run))
        else:
            scores.append([*score(logits[row.index : row.index + len(run)], run, [top] * len(run))])
    return scores
