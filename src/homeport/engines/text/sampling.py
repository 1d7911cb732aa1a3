"""Samples the next token of every row of a logits matrix, and several for a row with an accepted draft.

Order, per row: repetition penalty, OpenAI's penalties, bias, temperature, min-p, top-k, top-p, Gumbel-max. A row that
needs none of them costs one argmax and is never copied. Knows nothing of sequences, stop strings or what end tokens
mean.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed
from homeport.domain.text import SamplingParams
from homeport.engines.text import gumbel_noise
from homeport.engines.text.executor import Logits
from homeport.engines.text.step_plan import LogitsRow

Tokens = NDArray[np.int32]
NO_TOKENS: Tokens = np.empty(0, dtype=np.int32)

# OpenAI's documentation: "values like -100 or 100 should result in a ban or exclusive selection".
DECISIVE_BIAS = 100.0
# Below this, float32 logits divided by the temperature leave one token or overflow.
MIN_TEMPERATURE = 1e-5
# A block of tokens is sampled first, so that noise is computed for hundreds of ids and not for the whole vocabulary.
_BLOCK = 512
_GROWTH = 16.0  # factor by which the threshold for candidates falls
_MIN_PENALTY = 1e-30  # a logit divided by less may overflow float32
_MAX_SORTED = 1024  # up to this many weights are sorted at once


class LogitBias(NamedTuple):
    """A request's bias, built once for all its answers.

    `banned` tokens are never sampled, one of the `forced` ones is; `values` are added to the logits of `ids`.
    """

    banned: Tokens
    forced: Tokens
    ids: Tokens
    values: NDArray[np.float32]

    @classmethod
    def of(cls, wanted: Mapping[int, float]) -> Self:
        """Build the bias from the value to add to each token's logit."""
        ids = np.fromiter(wanted.keys(), dtype=np.int32, count=len(wanted))
        values = np.fromiter(wanted.values(), dtype=np.float32, count=len(wanted))
        mild = np.abs(values) < DECISIVE_BIAS
        return cls(ids[values <= -DECISIVE_BIAS], ids[values >= DECISIVE_BIAS], ids[mild], values[mild])


class TokenCounts:
    """How often each token was generated, as arrays that grow. `prompt` holds a prompt's tokens, each once, ascending.

    All answers to a prompt share the prompt's array and only read it.
    """

    def __init__(self, prompt: Tokens) -> None:
        self.prompt = prompt
        self._slots: dict[int, int] = {}
        self._ids = np.zeros(64, dtype=np.int32)
        self._counts = np.zeros(64, dtype=np.float32)
        self._is_new = np.zeros(64, dtype=np.bool_)

    def add(self, token: int) -> None:
        """Count one more of this token."""
        slot = self._slots.get(token)
        if slot is None:
            slot = self._slots[token] = len(self._slots)
            if slot == len(self._ids):
                self._ids, self._counts, self._is_new = (
                    np.concatenate([array, np.zeros_like(array)]) for array in (self._ids, self._counts, self._is_new)
                )
            self._ids[slot] = token
            index = int(np.searchsorted(self.prompt, token))
            self._is_new[slot] = index == len(self.prompt) or self.prompt[index] != token
        self._counts[slot] += 1

    @property
    def ids(self) -> Tokens:
        """The tokens generated, unordered, each once."""
        return self._ids[: len(self._slots)]

    @property
    def counts(self) -> NDArray[np.float32]:
        """How often each of `ids` was generated."""
        return self._counts[: len(self._slots)]

    @property
    def new(self) -> Tokens:
        """Those of `ids` that are not in the prompt."""
        return self.ids[self._is_new[: len(self._slots)]]


class TokenSampler:
    """One candidate's sampling state: the parameters, and the token counts that penalties need.

    `bias` applies to model ids. Only the repetition penalty uses `prompt_ids` (each once, ascending). `ends` are banned
    until `min_tokens` tokens are accepted.
    """

    def __init__(
        self,
        sampling: SamplingParams,
        *,
        seed: int,
        choice: int,
        bias: LogitBias,
        prompt_ids: Tokens = NO_TOKENS,
        ends: Tokens = NO_TOKENS,
        min_tokens: int = 0,
    ) -> None:
        self.sampling = sampling
        self.position = 0
        self._seed = seed
        self._choice = choice
        self._ends = ends
        self._min_tokens = min_tokens
        self._bias = bias
        self._repeats = sampling.repetition_penalty != 1.0
        penalizes = bool(sampling.presence_penalty or sampling.frequency_penalty)
        self._counts = TokenCounts(prompt_ids if self._repeats else NO_TOKENS) if self._repeats or penalizes else None

    def accept(self, token: int) -> None:
        """Record a generated token: penalties count it, and the next position has its own noise."""
        self.position += 1
        if self._counts is not None:
            self._counts.add(token)

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is always chosen."""
        return self.sampling.temperature < MIN_TEMPERATURE

    @property
    def key(self) -> int:
        """The noise key of the token to be sampled next."""
        return gumbel_noise.key(self._seed, self._choice, self.position)

    def process_logits(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the row with penalties, bias and bans applied: a copy, or the row itself if nothing applies."""
        bias, banned = self._bias, self._bias.banned
        if self.position < self._min_tokens and len(self._ends):
            banned = np.concatenate([banned, self._ends])
        counts = self._counts
        penalizes = counts is not None and (len(counts.ids) > 0 or len(counts.prompt) > 0)
        if not (penalizes or len(bias.ids) or len(banned) or len(bias.forced)):
            return row
        adjusted = row.copy()
        if penalizes:
            self._apply_penalties(adjusted)
        adjusted[bias.ids] += bias.values
        adjusted[banned] = -np.inf
        allowed = bias.forced[~np.isin(bias.forced, banned)] if len(bias.forced) else bias.forced
        if len(allowed):
            values = adjusted[allowed]
            adjusted.fill(-np.inf)
            adjusted[allowed] = values
        return adjusted

    def _apply_penalties(self, row: NDArray[np.float32]) -> None:
        if self._counts is None:
            return
        if self._repeats:
            penalty = np.float32(max(self.sampling.repetition_penalty, _MIN_PENALTY))
            for ids in (self._counts.prompt, self._counts.new):
                logits = row[ids]
                row[ids] = np.where(logits > 0, logits / penalty, logits * penalty)
        ids, counts = self._counts.ids, self._counts.counts
        row[ids] -= np.float32(self.sampling.frequency_penalty) * counts
        row[ids] -= np.float32(self.sampling.presence_penalty)


def sample_runs(logits: Logits, rows: Sequence[LogitsRow], samplers: Sequence[TokenSampler]) -> list[list[int]]:
    """Sample for each row the tokens that agree with its draft, and one more.

    Each token is sampled from the logits that follow the tokens sampled before it, with the noise of its own position,
    so the tokens are those that would be sampled without drafts. `logits` (M, V) is only read; samplers accept their
    tokens. Raises EngineFailed if a row has no finite logit.
    """
    runs: list[list[int]] = [[] for _ in rows]
    depth = 0
    agreed = list(range(len(rows)))
    while agreed:
        views = [logits[rows[place].index + depth] for place in agreed]
        for place, token in zip(agreed, sample(views, [samplers[place] for place in agreed]).tolist(), strict=True):
            samplers[place].accept(token)
            runs[place].append(token)
        agreed = [place for place in agreed if rows[place].draft[depth : depth + 1] == (runs[place][depth],)]
        depth += 1
    return runs


def sample(logits: Logits | Sequence[Logits], samplers: Sequence[TokenSampler]) -> NDArray[np.int32]:
    """Sample one token per row: (M, V) logits, or M rows (V), and M samplers to (M,) ids. `logits` is only read.

    Raises EngineFailed if a row has no finite logit.
    """
    chosen = np.empty(len(samplers), dtype=np.int32)
    for index, (row, sampler) in enumerate(zip(logits, samplers, strict=True)):
        adjusted = sampler.process_logits(row)
        best = int(adjusted.argmax())
        if adjusted is not row and not np.isfinite(adjusted[best]):  # the bans leave no token, so they are ignored
            adjusted, best = row, int(row.argmax())
        if not np.isfinite(adjusted[best]):
            raise EngineFailed("The model computed no usable probabilities for the next token.")
        chosen[index] = best if sampler.is_greedy else _sample_row(adjusted, adjusted[best], sampler)
    return chosen


def _sample_row(row: NDArray[np.float32], best: np.float32, sampler: TokenSampler) -> int:
    """Sample one token from softmax(row / temperature), filtered by min-p, top-k and top-p."""
    size = len(row)
    with np.errstate(over="ignore"):  # very low logits may overflow to -inf, whose weight is zero
        scaled = (row - best) / np.float32(sampler.sampling.temperature)
    # Padded with zeros to whole blocks.
    weights = np.zeros(-(-size // _BLOCK) * _BLOCK, dtype=np.float32)
    np.exp(scaled, out=weights[:size])
    params = sampler.sampling
    candidates = None
    if params.top_p < 1.0 or params.top_k > 0 or params.min_p > 0.0:
        candidates = filter_candidates(weights[:size], top_k=params.top_k, top_p=params.top_p, min_p=params.min_p)
        if len(candidates) > 2 * _BLOCK:  # noise for each would cost more than the rest of the step
            remaining = weights[candidates]
            weights.fill(0.0)
            weights[candidates] = remaining
            candidates = None
    if candidates is None:
        # Gumbel-max over the blocks' masses, then within the block: the same distribution as over all tokens together.
        masses = weights.reshape(-1, _BLOCK).sum(axis=1, dtype=np.float64)
        with np.errstate(divide="ignore"):
            logs = np.log(masses)
        block = int((logs + gumbel_noise.gumbel(sampler.key, size + np.arange(len(masses)))).argmax()) * _BLOCK
        candidates = block + np.flatnonzero(weights[block : block + _BLOCK])
    return int(candidates[(scaled[candidates] + gumbel_noise.gumbel(sampler.key, candidates)).argmax()])


def filter_candidates(weights: NDArray[np.float32], *, top_k: int, top_p: float, min_p: float) -> NDArray[np.int64]:
    """Return the ids that pass the filters, unordered, ties broken by lower id; at least one.

    `weights` are probabilities relative to the likeliest token's, which is 1. top-p counts the mass of what min-p and
    top-k leave. Only candidates above a falling threshold are considered, and only those near the cut are sorted.
    """
    enough_mass = top_p * float(weights.sum(dtype=np.float64)) if not (top_k or min_p) else np.inf
    threshold = 1.0 / _GROWTH
    while True:
        ids = np.flatnonzero(weights >= max(threshold, min_p))
        selected = weights[ids]
        is_enough = top_k > 0 and len(ids) >= top_k
        if is_enough or threshold <= min_p or threshold == 0.0 or selected.sum(dtype=np.float64) >= enough_mass:
            break
        threshold = threshold / _GROWTH if threshold > 1e-30 else 0.0
    if top_k:
        ids, selected = _largest(ids, selected, top_k)
    if top_k or min_p:
        enough_mass = top_p * float(selected.sum(dtype=np.float64))
    return _nucleus(ids, selected, enough_mass)


def _largest(
    ids: NDArray[np.int64], weights: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the `count` largest weights with their ids; of equal ones the first."""
    if len(ids) <= count:
        return ids, weights
    least = np.partition(weights, len(weights) - count)[len(weights) - count]
    taken = weights > least
    taken[np.flatnonzero(weights == least)[: count - int(taken.sum())]] = True
    return ids[taken], weights[taken]


def _nucleus(ids: NDArray[np.int64], weights: NDArray[np.float32], enough: float) -> NDArray[np.int64]:
    """Return the ids of the largest weights that together reach the mass `enough`, or all; of equal ones the first.

    The cut is searched between bounds: weights that are certainly inside are summed and never sorted.
    """
    inside: list[NDArray[np.int64]] = []
    mass = 0.0
    while len(ids) > _MAX_SORTED:
        middle = np.sort(weights[:: len(weights) // 64])[32]
        upper = weights >= middle
        if upper.all():  # the sample's smallest weight is the smallest of all
            upper = weights > middle
        places = np.flatnonzero(upper)  # indexing by integers takes a quarter of the time of a mask
        if not len(places):
            break  # all are equal
        larger = weights[places]
        above = mass + float(larger.sum(dtype=np.float64))
        if above >= enough:
            ids, weights = ids[places], larger
            continue
        inside.append(ids[places])
        mass, places = above, np.flatnonzero(~upper)
        ids, weights = ids[places], weights[places]
    order = np.argsort(-weights, kind="stable")
    masses = mass + np.cumsum(weights[order], dtype=np.float64)
    return np.concatenate([*inside, ids[order[: int(np.searchsorted(masses, enough)) + 1]]])
