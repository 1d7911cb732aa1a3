"""Samples the next token of every row of a logits matrix, and several for a row with an accepted draft.

Order, per row: repetition penalty, OpenAI's penalties, bias, temperature, min-p, top-k, top-p, Gumbel-max. A row that
needs none of them costs one argmax and is never copied. Knows nothing of sequences, stop strings or what end tokens
mean.

Under a constraint, a token is sampled as without it. Only if the grammar forbids it, the row is masked and sampled
again with other noise: so an allowed token is as likely as if the row had been masked at once, which costs more. Tokens
that are known to come next are not sampled at all.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed, ErrorInfo
from homeport.domain.text import SamplingParams
from homeport.engines.text import gumbel_noise
from homeport.engines.text.candidate_filters import filter_candidates
from homeport.engines.text.constraint import Constraint, ConstraintFailed
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
_MIN_PENALTY = 1e-30  # a logit divided by less may overflow float32


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
    until `min_tokens` tokens are accepted, unless the constraint allows nothing else. `constraint`: the answer's
    position in its grammar, set before the first token; None: anything may come. If it fails, `failure` says why, and
    the tokens sampled since then are meaningless.
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
        self.constraint: Constraint | None = None
        self.failure: ErrorInfo | None = None
        self._queue: deque[int] = deque()  # tokens that come next whatever is sampled
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
        if self._queue and self._queue[0] == token:
            self._queue.popleft()
        if self.constraint is not None:
            try:
                self.constraint.accept(token)
            except ConstraintFailed as error:
                self.fail(error)
        if self._counts is not None:
            self._counts.add(token)

    @property
    def is_complete(self) -> bool:
        """Whether the answer's grammar is complete and allows nothing more: the answer ends without another token."""
        return self.constraint is not None and self.constraint.is_complete

    @property
    def goes_on(self) -> bool:
        """Whether the answer needs another token: its grammar is neither complete nor has it failed."""
        return self.failure is None and not self.is_complete

    def force(self, tokens: Iterable[int]) -> None:
        """Make the next tokens these, whatever is likely. They end where the constraint forbids one."""
        self._queue.extend(tokens)

    def next_forced(self) -> Sequence[int]:
        """Return the tokens that are known to come next: those of `force`, else those of the constraint."""
        if self.constraint is None:
            return tuple(self._queue)
        try:
            if self._queue and self.constraint.allows(self._queue[0]):
                return tuple(self._queue)
        except ConstraintFailed as error:
            self.fail(error)
            return ()
        self._queue.clear()
        return self.constraint.forced()

    def fail(self, error: ConstraintFailed) -> None:
        """Give up the constraint: this answer fails, and no other one."""
        self.failure = self.failure or EngineFailed(str(error)).info
        self.constraint = None
        self._queue.clear()

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is always chosen."""
        return self.sampling.temperature < MIN_TEMPERATURE

    @property
    def key(self) -> int:
        """The noise key of the token to be sampled next."""
        return gumbel_noise.key(self._seed, self._choice, self.position)

    @property
    def masked_key(self) -> int:
        """The noise key of the token to be sampled next if the constraint forbids the first one."""
        return gumbel_noise.key(self._seed, self._choice, -1 - self.position)

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
    so the tokens are those that would be sampled without drafts. A run also ends where its grammar is complete.
    `logits` (M, V) is only read; samplers accept their tokens. Raises EngineFailed if a row has no finite logit.
    """
    runs: list[list[int]] = [[] for _ in rows]
    depth = 0
    agreed = list(range(len(rows)))
    while agreed:
        views = [logits[rows[place].index + depth] for place in agreed]
        for place, token in zip(agreed, sample(views, [samplers[place] for place in agreed]).tolist(), strict=True):
            samplers[place].accept(token)
            runs[place].append(token)
        agreed = [
            place
            for place in agreed
            if rows[place].draft[depth : depth + 1] == (runs[place][depth],) and samplers[place].goes_on
        ]
        depth += 1
    return runs


def sample(logits: Logits | Sequence[Logits], samplers: Sequence[TokenSampler]) -> NDArray[np.int32]:
    """Sample one token per row: (M, V) logits, or M rows (V), and M samplers to (M,) ids. `logits` is only read.

    Raises EngineFailed if a row has no finite logit. A constraint that fails fails only its own sampler.
    """
    chosen = np.empty(len(samplers), dtype=np.int32)
    for index, (row, sampler) in enumerate(zip(logits, samplers, strict=True)):
        try:
            chosen[index] = _next_token(row, sampler)
        except ConstraintFailed as error:
            sampler.fail(error)
            chosen[index] = int(row.argmax())
    return chosen


def _next_token(row: Logits, sampler: TokenSampler) -> int:
    """Return the token that is known to come next, or sample one that the constraint allows."""
    constraint = sampler.constraint
    forced = sampler.next_forced()
    if forced:
        return forced[0]
    adjusted = sampler.process_logits(row)
    token = _choose(adjusted, row, sampler, sampler.key)
    if constraint is None or constraint.allows(token):
        return token
    allowed = constraint.mask()
    remaining = np.where(allowed, adjusted, np.float32(-np.inf))
    if not np.isfinite(remaining.max()):  # bans and bias leave nothing that the grammar allows
        remaining = np.where(allowed, row, np.float32(-np.inf))
    if not np.isfinite(remaining.max()):
        raise ConstraintFailed("The answer's grammar allows no token that the model can compute.")
    return _choose(remaining, remaining, sampler, sampler.masked_key)


def _choose(adjusted: Logits, row: Logits, sampler: TokenSampler, key: int) -> int:
    """Choose a token from processed logits; from the raw `row` if bans leave none."""
    best = int(adjusted.argmax())
    if adjusted is not row and not np.isfinite(adjusted[best]):
        adjusted, best = row, int(row.argmax())
    if not np.isfinite(adjusted[best]):
        raise EngineFailed("The model computed no usable probabilities for the next token.")
    return best if sampler.is_greedy else _sample_row(adjusted, adjusted[best], sampler.sampling, key)


def _sample_row(row: Logits, best: np.float32, params: SamplingParams, key: int) -> int:
    """Sample one token from softmax(row / temperature), filtered by min-p, top-k and top-p."""
    size = len(row)
    with np.errstate(over="ignore"):  # very low logits may overflow to -inf, whose weight is zero
        scaled = (row - best) / np.float32(params.temperature)
    # Padded with zeros to whole blocks.
    weights = np.zeros(-(-size // _BLOCK) * _BLOCK, dtype=np.float32)
    np.exp(scaled, out=weights[:size])
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
        block = int((logs + gumbel_noise.gumbel(key, size + np.arange(len(masses)))).argmax()) * _BLOCK
        candidates = block + np.flatnonzero(weights[block : block + _BLOCK])
    return int(candidates[(scaled[candidates] + gumbel_noise.gumbel(key, candidates)).argmax()])
