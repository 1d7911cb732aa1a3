"""How much prompt a step takes on, from what steps were seen to cost. Knows no clock: it is told seconds.

Prompt tokens beside running streams make these wait, so they get what stretches a step by a bounded factor (chunked
prefill, Agrawal et al., "Sarathi-Serve", 2024), but at least a short time's worth, lest one stream holds up a prompt;
the more prompts there are to each stream, the longer, since small slices cost more and all those callers wait too.
With nobody to wait, a step is as small as it can be without costing more per token: a caller who leaves, or a short
prompt that arrives, waits for its end. Costs are kept per size (powers of two), since kernels do not scale evenly.
"""

from collections.abc import Callable

from homeport.engines.text.prompt_lookup import assumed_min_acceptance
from homeport.engines.text.step_costs import Costs

MAX_STEP_STRETCH = (
    2.4  # times the streams' own step; with what the estimate misses, gaps stay below three times the usual
)
GUARANTEED_STEP_S = 0.25  # a step may always take this long, times prompts and streams over streams
MIN_PREFILL_TOKENS = 32  # prompt tokens: fewer would be mostly the fixed cost of a pass
MIN_PREFILL_BATCH = 64  # prompt tokens of a step with nobody else in it, where all sizes cost alike
DEFAULT_PREFILL_TOKENS = 64  # prompt tokens beside streams before anything was measured
TOLERANCE = 1.05
FIRST_SAVE_STEP = 32
MAX_BACKGROUND_STEP_S = 0.04  # a step that nobody waits for is about as long: who arrives meanwhile waits for its end
_WEIGHT = 0.2  # of the latest measurement
MIN_MEASURED_STEP_S = 0.001  # a step of streams that is shorter tells nothing of what a guess adds: it is all overhead
_DECAY = 1 / 512  # by each step without guesses
_OUTLIER_FACTOR = 4.0  # a measurement this many times off moves the estimate no further than this


class PrefillBudget:
    """Learns what steps cost. `batch`: tokens of a step at most; `fixed`: prompt tokens beside streams, not learnt."""

    def __init__(
        self,
        batch: int,
        *,
        fixed: int | None = None,
        costs: Costs | None = None,
        keep: Callable[[Costs], None] | None = None,
    ) -> None:
        """`costs` were measured earlier; `keep` takes them after 32, 128, 512, … further steps."""
        if fixed is not None and fixed < 1:
            raise ValueError("a slice of nothing never ends")
        self._batch = batch
        self._fixed = fixed
        self.costs = costs or Costs()
        self._keep = keep
        self._steps, self._due = 0, FIRST_SAVE_STEP

    def observe(self, decode: int, prefill: int, seconds: float, *, drafted: int = 0) -> None:
        """A step computed so many tokens of streams, of prompts and on guesses in so many seconds."""
        self._steps += 1
        if self._keep is not None and self._steps == self._due:
            self._due *= 4
            self._keep(self.costs)
        if drafted:
            own = decode * _nearest_cost(self.costs.decode, decode)
            if not prefill and own > MIN_MEASURED_STEP_S:
                _update_cost(self.costs.draft, decode, max(seconds - own, 0.0) / drafted)
        elif not prefill and decode:
            _update_cost(self.costs.decode, decode, seconds / decode)
            self._decay_draft_cost(decode)
        elif not decode and prefill:
            _update_cost(self.costs.prefill, prefill, seconds / prefill)
        elif prefill >= MIN_PREFILL_TOKENS and (each := _nearest_cost(self.costs.decode, decode)):
            _update_cost(self.costs.prefill, prefill, max(seconds - decode * each, 0.0) / prefill)

    def tokens_for_step(self, decode: int, prompts: int) -> int:
        """Prompt tokens that a step may take on, where so many streams each await a token and so many a prompt."""
        if not decode:
            return self._best_prefill_size()
        if self._fixed is not None:
            return min(self._fixed, self._batch)
        each, prompt = (
            _nearest_cost(self.costs.decode, decode),
            _nearest_cost(self.costs.prefill, DEFAULT_PREFILL_TOKENS),
        )
        if not each or not prompt:
            return min(DEFAULT_PREFILL_TOKENS, self._batch)
        own = decode * each
        room = (max(MAX_STEP_STRETCH * own, GUARANTEED_STEP_S * (decode + prompts) / decode) - own) / prompt
        return min(max(int(room), MIN_PREFILL_TOKENS), self._batch)

    def background_tokens(self, decode: int) -> int:
        """Prompt tokens of a step that nobody waits for, beside so many streams: it is to be short."""
        each, prompt = _nearest_cost(self.costs.decode, decode), _nearest_cost(self.costs.prefill, MIN_PREFILL_TOKENS)
        room = (MAX_BACKGROUND_STEP_S - decode * each) / prompt if prompt else DEFAULT_PREFILL_TOKENS
        return min(max(int(room), MIN_PREFILL_TOKENS), self._batch)

    def min_acceptance(self, decode: int) -> float:
        """How often a guess must come true to be worth computing, beside so many tokens of streams.

        It then adds a token at the price of its own, which a later step would draw at the price of a stream's.
        """
        guess, each = self.costs.draft.get(_size(decode)), _nearest_cost(self.costs.decode, decode)
        return guess / each if guess is not None and each else assumed_min_acceptance(decode)

    def _decay_draft_cost(self, decode: int) -> None:
        """Let the cost of guesses drift to what is assumed, lest one wrong measurement ends them for good."""
        size = _size(decode)
        if (guess := self.costs.draft.get(size)) is not None:
            usual = assumed_min_acceptance(decode) * self.costs.decode[size]
            self.costs.draft[size] = guess + _DECAY * (usual - guess)

    def _best_prefill_size(self) -> int:
        """The smallest size that costs about as little per token as any; a whole batch while that is unmeasured."""
        known = {
            size: cost for size, cost in self.costs.prefill.items() if MIN_PREFILL_BATCH <= 1 << size <= self._batch
        }
        if 1 << max(known, default=0) < self._batch // 2 + 1:
            return self._batch
        best = min(known.values())
        return 1 << min(size for size, cost in known.items() if cost <= TOLERANCE * best)


def _size(count: int) -> int:
    return count.bit_length() - 1


def _update_cost(costs: dict[int, float], count: int, seconds: float) -> None:
    size = _size(count)
    known = costs.get(size)
    if not known:
        costs[size] = seconds
        return
    costs[size] = known + _WEIGHT * (min(max(seconds, known / _OUTLIER_FACTOR), known * _OUTLIER_FACTOR) - known)


def _nearest_cost(costs: dict[int, float], count: int) -> float:
    """The cost per token of the nearest size measured; 0.0: there is none."""
    size = _size(count)
    return costs[min(costs, key=lambda other: abs(other - size))] if costs else 0.0
