"""Fill what is left of a step with guesses of what its candidates draw next. Knows nothing of how they are made."""

from homeport.engines.text.cache import Cache
from homeport.engines.text.executor import Traits
from homeport.engines.text.plan import Plan, Slice

TILE = 4  # tokens that the kernels multiply together: a step of 5 to 7 costs about what one of 8 does


def draft(plan: Plan, cache: Cache, traits: Traits) -> None:
    """Put guesses behind the last tokens of candidates, in room that nobody else takes and no one is pre-empted for."""
    rows = total = sum(part.stop - part.start for part in plan.slices)
    for place, part in enumerate(plan.slices):
        candidate = part.candidate
        if candidate.lookup is None or part.stop < len(candidate.tokens) or candidate.is_scoring:
            continue
        guess = candidate.lookup.guess(min(traits.batch - total, traits.window - part.stop), rows)
        guess = guess[: max(0, len(guess) - (total + len(guess)) % TILE)]
        if guess and cache.reserve(len(guess)):
            wanted = range(part.rows.start, part.stop + len(guess))
            plan.slices[place] = Slice(candidate, part.start, part.stop, wanted, guess)
            total += len(guess)
