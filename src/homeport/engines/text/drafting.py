"""Fill what is left of a step with guesses of what its candidates draw next, and book which came true.

Knows nothing of how guesses are made.
"""

from collections.abc import Callable, Sequence

from homeport.engines.text.executor import ExecutorTraits
from homeport.engines.text.invariant import require_value
from homeport.engines.text.kv_cache import KVCache
from homeport.engines.text.step_plan import LogitsRow, StepPlan, StepSlice

TILE = 4  # tokens that the kernels multiply together: a step of 5 to 7 costs about what one of 8 does


def draft(plan: StepPlan, cache: KVCache, traits: ExecutorTraits, min_acceptance: Callable[[int], float]) -> None:
    """Put guesses behind the last tokens of candidates, in room that nobody else takes and no one is pre-empted for.

    `pays`: how often a guess must come true to be worth computing beside so many tokens of streams.
    """
    total = sum(part.stop - part.start for part in plan.slices)
    worth = min_acceptance(max(plan.decode, 1))
    for place, part in enumerate(plan.slices):
        candidate = part.candidate
        if candidate.lookup is None or part.stop < len(candidate.tokens) or candidate.is_scoring:
            continue
        room = min(traits.batch - total, traits.window - part.stop)
        group = candidate.group
        if group.quota is not None:
            room = min(room, group.quota - group.planned_rows)
        guess = candidate.lookup.draft(room, worth)
        guess = guess[: max(0, len(guess) - (total + len(guess)) % TILE)]
        if guess and cache.reserve(len(guess)):
            wanted = range(part.rows.start, part.stop + len(guess))
            plan.slices[place] = StepSlice(candidate, part.start, part.stop, wanted, guess)
            total += len(guess)
            group.planned_rows += len(guess) if group.quota is not None else 0
            plan.drafted += len(guess)


def append_accepted(row: LogitsRow, tokens: Sequence[int], cache: KVCache) -> None:
    """Append the tokens drawn at a row to its candidate: all but the last repeat its draft, so they are computed."""
    candidate, kept = row.candidate, len(tokens) - 1
    if row.draft:
        slot = require_value(candidate.slot, "a guess was computed without a sequence")
        cache.confirm(slot, row.draft[:kept], len(row.draft))
        candidate.computed += kept
    candidate.tokens += tokens
    if candidate.lookup is not None:
        for token in tokens:
            candidate.lookup.feed(token)
