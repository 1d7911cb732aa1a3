"""How many prompt tokens a step computes, from the measured cost of steps; and the file that stores these costs.

Prompt tokens in a step delay its streams, so a step with streams may take longer only by a bounded factor (chunked
prefill, Agrawal et al., "Sarathi-Serve", 2024). It may always take a minimum time, so that one stream does not hold up
a prompt; the more prompts there are per stream, the longer, because small slices cost more and all those callers wait
too. A step without streams may take that long as well; beyond, it is as small as possible at nearly the lowest cost per
token, because a cancellation or a short prompt that arrives waits for its end. Costs are stored per size (powers of
two), because kernels do not scale evenly. Knows no clock: callers pass seconds.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from homeport.engines.text.prompt_lookup import assumed_min_acceptance
from homeport.formats import atomic

# A step with streams takes at most this many times the streams' own step. With the estimate's errors, the time between
# two tokens stays below three times the usual.
MAX_STEP_STRETCH = 2.4
GUARANTEED_STEP_S = 0.25  # a step may always take this long, times (prompts + streams) / streams
MIN_PREFILL_TOKENS = 32  # the fixed cost of a forward pass dominates below this
MIN_PREFILL_BATCH = 64  # prompt tokens of a step without streams, if all sizes cost the same per token
DEFAULT_PREFILL_TOKENS = 64  # prompt tokens of a step with streams, before anything is measured
TOLERANCE = 1.05
FIRST_SAVE_STEP = 32
MAX_BACKGROUND_STEP_S = 0.04  # target for a step of background requests only: a request that arrives waits for its end
_WEIGHT = 0.2  # of the latest measurement
MIN_MEASURED_STEP_S = 0.001  # a shorter step of streams is all overhead and does not show what a draft token adds
_DECAY = 1 / 512  # per step without drafts
_OUTLIER_FACTOR = 4.0  # a measurement that differs by more than this factor counts as this factor

logger = logging.getLogger("homeport.text")


class Costs(msgspec.Struct):
    """Seconds per token by size (the exponent of the power of two below it), for `decode` and `prefill` tokens.

    `draft`: seconds that one draft token adds, by the streams of its step.
    `machine` identifies weights, kernels and threads, for which alone the costs are valid.
    """

    machine: str = ""
    decode: dict[int, float] = {}
    prefill: dict[int, float] = {}
    draft: dict[int, float] = {}


class CostFile:
    """One model's costs on this machine. A file of another machine, a damaged or a missing one counts as empty."""

    def __init__(self, path: Path, machine: str) -> None:
        self._path = path
        self._machine = machine

    def read(self) -> Costs:
        """Return the costs measured by earlier runs."""
        try:
            costs = msgspec.json.decode(self._path.read_bytes(), type=Costs)
        except (OSError, msgspec.DecodeError):
            return Costs(self._machine)
        return costs if costs.machine == self._machine else Costs(self._machine)

    def write(self, costs: Costs) -> None:
        """Store costs. A failure is logged, and they are measured again after the next start."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_file(self._path, msgspec.json.encode(costs), mode=0o666, is_durable=False)
        except OSError as error:
            logger.warning("cannot store step costs in %s: %s", self._path, error.strerror)


class PrefillBudget:
    """Learns what steps cost. `batch`: maximum tokens of a step; `fixed`: prompt tokens of a step with streams."""

    def __init__(
        self,
        batch: int,
        *,
        fixed: int | None = None,
        costs: Costs | None = None,
        save: Callable[[Costs], None] | None = None,
    ) -> None:
        """`costs` were measured earlier; `save` receives the current ones after 32, 128, 512, … further steps."""
        if fixed is not None and fixed < 1:
            raise ValueError("fixed must be at least 1: an empty slice makes no progress")
        self._batch = batch
        self._fixed = fixed
        self.costs = costs or Costs()
        self._save = save
        self._steps, self._next_save = 0, FIRST_SAVE_STEP

    def observe(self, decode: int, prefill: int, seconds: float, *, drafted: int = 0) -> None:
        """Record that a step of these numbers of stream, prompt and draft tokens took `seconds`."""
        self._steps += 1
        if self._save is not None and self._steps == self._next_save:
            self._next_save *= 4
            self._save(self.costs)
        if drafted:
            decode_s = decode * _nearest_cost(self.costs.decode, decode)
            if not prefill and decode_s > MIN_MEASURED_STEP_S:
                _update_cost(self.costs.draft, decode, max(seconds - decode_s, 0.0) / drafted)
        elif not prefill and decode:
            _update_cost(self.costs.decode, decode, seconds / decode)
            self._decay_draft_cost(decode)
        elif not decode and prefill:
            _update_cost(self.costs.prefill, prefill, seconds / prefill)
        elif prefill >= MIN_PREFILL_TOKENS and (decode_cost := _nearest_cost(self.costs.decode, decode)):
            _update_cost(self.costs.prefill, prefill, max(seconds - decode * decode_cost, 0.0) / prefill)

    def tokens_for_step(self, decode: int, prompts: int) -> int:
        """Return the prompt tokens of a step in which `decode` streams and `prompts` prompts wait for a token."""
        if not decode:
            return self._best_prefill_size()
        if self._fixed is not None:
            return min(self._fixed, self._batch)
        decode_cost = _nearest_cost(self.costs.decode, decode)
        prefill_cost = _nearest_cost(self.costs.prefill, DEFAULT_PREFILL_TOKENS)
        if not decode_cost or not prefill_cost:
            return min(DEFAULT_PREFILL_TOKENS, self._batch)
        decode_s = decode * decode_cost
        step_s = max(MAX_STEP_STRETCH * decode_s, GUARANTEED_STEP_S * (decode + prompts) / decode)
        room = (step_s - decode_s) / prefill_cost
        return min(max(int(room), MIN_PREFILL_TOKENS), self._batch)

    def background_tokens(self, decode: int) -> int:
        """Return the prompt tokens of a step of background requests only, with `decode` streams: it is kept short."""
        decode_cost = _nearest_cost(self.costs.decode, decode)
        prefill_cost = _nearest_cost(self.costs.prefill, MIN_PREFILL_TOKENS)
        room = (MAX_BACKGROUND_STEP_S - decode * decode_cost) / prefill_cost if prefill_cost else DEFAULT_PREFILL_TOKENS
        return min(max(int(room), MIN_PREFILL_TOKENS), self._batch)

    def min_acceptance(self, decode: int) -> float:
        """Return the acceptance from which a draft token is worth computing in a step of `decode` stream tokens.

        An accepted one saves a token of a later step and costs only what a draft token adds.
        """
        draft, decode_cost = self.costs.draft.get(_size(decode)), _nearest_cost(self.costs.decode, decode)
        return draft / decode_cost if draft is not None and decode_cost else assumed_min_acceptance(decode)

    def _decay_draft_cost(self, decode: int) -> None:
        """Move the cost of drafts toward the assumed one, so that one wrong measurement cannot end drafting forever."""
        size = _size(decode)
        if (draft := self.costs.draft.get(size)) is not None:
            assumed = assumed_min_acceptance(decode) * self.costs.decode[size]
            self.costs.draft[size] = draft + _DECAY * (assumed - draft)

    def _best_prefill_size(self) -> int:
        """Return the largest size that is computed soon, else the smallest with nearly the lowest cost per token.

        While too little is measured, return the batch.
        """
        known = {
            size: cost for size, cost in self.costs.prefill.items() if MIN_PREFILL_BATCH <= 1 << size <= self._batch
        }
        if 1 << max(known, default=0) < self._batch // 2 + 1:
            return self._batch
        soon = [size for size, cost in known.items() if cost * (1 << size) <= GUARANTEED_STEP_S]
        if soon:
            return 1 << max(soon)
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
    """Return the cost per token of the nearest measured size; 0.0 if there is none."""
    size = _size(count)
    return costs[min(costs, key=lambda other: abs(other - size))] if costs else 0.0
