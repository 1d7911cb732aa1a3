"""Draw the next token of every row of a logits matrix.

Order, per row: repetition penalty, OpenAI's penalties, bias, temperature, min-p, top-k, top-p, Gumbel-max. A row that
asks for none of it costs one argmax and is never copied. Knows nothing of sequences, stops or end tokens' meaning.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed
from homeport.domain.text import SamplingParams
from homeport.engines.text import noise
from homeport.engines.text.executor import Logits

Tokens = NDArray[np.int32]
NO_TOKENS: Tokens = np.empty(0, dtype=np.int32)

# OpenAI's documentation: "values like -100 or 100 should result in a ban or exclusive selection".
DECISIVE_BIAS = 100.0
# Below this, float32 logits divided by the temperature leave one token or overflow.
MIN_TEMPERATURE = 1e-5
# Tokens drawn as one block first, so that noise is made for hundreds of ids and not for the whole vocabulary.
_BLOCK = 512
_GROWTH = 16.0
_LEAST_PENALTY = 1e-30  # a logit divided by less may not be a float32
_SORTED = 1024  # weights are sorted together where they are no more


class LogitBias(NamedTuple):
    """A request's bias, made once for all its answers: tokens banned, those one of which is taken, and mild values."""

    banned: Tokens
    forced: Tokens
    ids: Tokens
    values: NDArray[np.float32]

    @classmethod
    def of(cls, wanted: Mapping[int, float]) -> Self:
        """Read what is to be added to which token's logit."""
        ids = np.fromiter(wanted.keys(), dtype=np.int32, count=len(wanted))
        values = np.fromiter(wanted.values(), dtype=np.float32, count=len(wanted))
        mild = np.abs(values) < DECISIVE_BIAS
        return cls(ids[values <= -DECISIVE_BIAS], ids[values >= DECISIVE_BIAS], ids[mild], values[mild])


class TokenCounts:
    """How often each token was generated, as arrays that grow. `prompt` holds a prompt's tokens, each once, ascending.

    The prompt's array is shared by all answers to it and only read.
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
            place = int(np.searchsorted(self.prompt, token))
            self._is_new[slot] = place == len(self.prompt) or self.prompt[place] != token
        self._counts[slot] += 1

    @property
    def ids(self) -> Tokens:
        """The tokens generated, in no order, each once."""
        return self._ids[: len(self._slots)]

    @property
    def counts(self) -> NDArray[np.float32]:
        """How often each of `ids` was generated."""
        return self._counts[: len(self._slots)]

    @property
    def new(self) -> Tokens:
        """Those of `ids` that the prompt does not have."""
        return self.ids[self._is_new[: len(self._slots)]]


class TokenSampler:
    """How one candidate draws its tokens: the settings, and the counts that penalties need.

    `bias` is of model ids. `prompt_ids`, each once and ascending, matter to the repetition penalty alone. `ends` are
    banned until `min_tokens` tokens are accepted.
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
        penalised = bool(sampling.presence_penalty or sampling.frequency_penalty)
        self._tally = TokenCounts(prompt_ids if self._repeats else NO_TOKENS) if self._repeats or penalised else None

    def accept(self, token: int) -> None:
        """Take note that this token was generated: it counts, and the next draw has new noise."""
        self.position += 1
        if self._tally is not None:
            self._tally.add(token)

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is simply taken."""
        return self.sampling.temperature < MIN_TEMPERATURE

    @property
    def key(self) -> int:
        """The noise key of the token to be drawn now."""
        return noise.key(self._seed, self._choice, self.position)

    def process_logits(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """The row with penalties, bias and bans applied: a copy, or the row itself where nothing applies."""
        bias, banned = self._bias, self._bias.banned
        if self.position < self._min_tokens and len(self._ends):
            banned = np.concatenate([banned, self._ends])
        tally = self._tally
        penalised = tally is not None and (len(tally.ids) > 0 or len(tally.prompt) > 0)
        if not (penalised or len(bias.ids) or len(banned) or len(bias.forced)):
            return row
        adjusted = row.copy()
        if penalised:
            self._apply_penalties(adjusted)
        adjusted[bias.ids] += bias.values
        adjusted[banned] = -np.inf
        allowed = bias.forced[~np.isin(bias.forced, banned)] if len(bias.forced) else bias.forced
        if len(allowed):
            kept = adjusted[allowed]
            adjusted.fill(-np.inf)
            adjusted[allowed] = kept
        return adjusted

    def _apply_penalties(self, row: NDArray[np.float32]) -> None:
        if self._tally is None:
            return
        if self._repeats:
            penalty = np.float32(max(self.sampling.repetition_penalty, _LEAST_PENALTY))
            for ids in (self._tally.prompt, self._tally.new):
                logits = row[ids]
                row[ids] = np.where(logits > 0, logits / penalty, logits * penalty)
        ids, counts = self._tally.ids, self._tally.counts
        row[ids] -= np.float32(self.sampling.frequency_penalty) * counts
        row[ids] -= np.float32(self.sampling.presence_penalty)


def sample(logits: Logits | Sequence[Logits], draws: Sequence[TokenSampler]) -> NDArray[np.int32]:
    """Draw one token per row: (M, V) logits, or M rows (V), and M draws to (M,) ids. `logits` is only read.

    Raises EngineFailed where a row holds no number to choose by.
    """
    chosen = np.empty(len(draws), dtype=np.int32)
    for index, (row, draw) in enumerate(zip(logits, draws, strict=True)):
        adjusted = draw.process_logits(row)
        best = int(adjusted.argmax())
        if adjusted is not row and not np.isfinite(adjusted[best]):  # a request's bans leave nothing: they say nothing
            adjusted, best = row, int(row.argmax())
        if not np.isfinite(adjusted[best]):
            raise EngineFailed("The model computed no usable probabilities for the next token.")
        chosen[index] = best if draw.is_greedy else _sample_row(adjusted, adjusted[best], draw)
    return chosen


def _sample_row(row: NDArray[np.float32], best: np.float32, draw: TokenSampler) -> int:
    """One token drawn from softmax(row / temperature), cut by min-p, top-k and top-p."""
    size = len(row)
    with np.errstate(over="ignore"):  # far-off logits may overflow to -inf, which is their weight's zero
        scaled = (row - best) / np.float32(draw.sampling.temperature)
    # Padded with zeros to whole blocks.
    weights = np.zeros(-(-size // _BLOCK) * _BLOCK, dtype=np.float32)
    np.exp(scaled, out=weights[:size])
    rules = draw.sampling
    candidates = None
    if rules.top_p < 1.0 or rules.top_k > 0 or rules.min_p > 0.0:
        candidates = filter_candidates(weights[:size], top_k=rules.top_k, top_p=rules.top_p, min_p=rules.min_p)
        if len(candidates) > 2 * _BLOCK:  # noise for each would cost more than the rest of the step
            kept = weights[candidates]
            weights.fill(0.0)
            weights[candidates] = kept
            candidates = None
    if candidates is None:
        # Gumbel-max over the blocks' masses, then within the block: the same distribution as over all tokens at once.
        masses = weights.reshape(-1, _BLOCK).sum(axis=1, dtype=np.float64)
        with np.errstate(divide="ignore"):
            logs = np.log(masses)
        block = int((logs + noise.gumbel(draw.key, size + np.arange(len(masses)))).argmax()) * _BLOCK
        candidates = block + np.flatnonzero(weights[block : block + _BLOCK])
    return int(candidates[(scaled[candidates] + noise.gumbel(draw.key, candidates)).argmax()])


def filter_candidates(weights: NDArray[np.float32], *, top_k: int, top_p: float, min_p: float) -> NDArray[np.int64]:
    """The ids that the filters leave, in no order, of equal ones those of lower id; at least one.

    `weights` are probabilities relative to the likeliest token's, which is 1. top-p counts the mass of what min-p and
    top-k left. Only candidates over a falling threshold are looked at, and only those about its end are sorted.
    """
    enough_mass = top_p * float(weights.sum(dtype=np.float64)) if not (top_k or min_p) else np.inf
    threshold = 1.0 / _GROWTH
    while True:
        ids = np.flatnonzero(weights >= max(threshold, min_p))
        found = weights[ids]
        is_enough = top_k > 0 and len(ids) >= top_k
        if is_enough or threshold <= min_p or threshold == 0.0 or found.sum(dtype=np.float64) >= enough_mass:
            break
        threshold = threshold / _GROWTH if threshold > 1e-30 else 0.0
    if top_k:
        ids, found = _largest(ids, found, top_k)
    if top_k or min_p:
        enough_mass = top_p * float(found.sum(dtype=np.float64))
    return _nucleus(ids, found, enough_mass)


def _largest(
    ids: NDArray[np.int64], weights: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The so many largest, of equal ones those that stand first."""
    if len(ids) <= count:
        return ids, weights
    least = np.partition(weights, len(weights) - count)[len(weights) - count]
    taken = weights > least
    taken[np.flatnonzero(weights == least)[: count - int(taken.sum())]] = True
    return ids[taken], weights[taken]


def _nucleus(ids: NDArray[np.int64], weights: NDArray[np.float32], enough: float) -> NDArray[np.int64]:
    """The largest that together have at least this mass, all where they have not; of equal ones those first.

    The end is searched between bounds: what lies surely inside is summed and never sorted.
    """
    inside: list[NDArray[np.int64]] = []
    mass = 0.0
    while len(ids) > _SORTED:
        middle = np.sort(weights[:: len(weights) // 64])[32]
        upper = weights >= middle
        if upper.all():  # the sample's least is the least of all
            upper = weights > middle
        places = np.flatnonzero(upper)  # a gather by places takes a quarter of the time that a mask does
        if not len(places):
            break  # all are equal
        found = weights[places]
        above = mass + float(found.sum(dtype=np.float64))
        if above >= enough:
            ids, weights = ids[places], found
            continue
        inside.append(ids[places])
        mass, places = above, np.flatnonzero(~upper)
        ids, weights = ids[places], weights[places]
    order = np.argsort(-weights, kind="stable")
    masses = mass + np.cumsum(weights[order], dtype=np.float64)
    return np.concatenate([*inside, ids[order[: int(np.searchsorted(masses, enough)) + 1]]])
