"""Drafts an answer's next tokens from the text that it seems to copy: the text to be edited, or the prompt and itself.

A draft needs no model: the last tokens sampled are looked up, and the copy is followed while the samples agree with it.
The acceptance is estimated at no cost, by comparing every sampled token with the copy's, whether it was computed as a
draft or not; so nothing is computed in vain if nothing repeats. Source: prompt lookup decoding (Saxena 2023). Knows
nothing of logits, cells or other requests.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

Run = tuple[int, int, int]

ROW_COST = 0.4
"""Assumed cost of one more token in a step, relative to a step of one token; used until it is measured."""
MAX_DRAFT = 32  # tokens
RESYNC_DISTANCE = 16  # within this many tokens after a broken copy, one equal token is enough to resume it
INITIAL_ACCEPTANCE = 0.9  # of a copy of the text to be edited
INITIAL_ACCEPTANCE_UNLIKELY = 0.3  # of any other copy
_LEARNING_RATE = 0.125  # how far one predicted token moves the acceptance


def assumed_min_acceptance(rows: int) -> float:
    """Return the acceptance from which a draft token pays in a step of `rows` other tokens, if nothing is measured.

    A step of B tokens costs 1 - c + cB, so a token sampled one step earlier saves c and (1 - c) / B.
    """
    return ROW_COST * rows / (ROW_COST * rows + 1.0 - ROW_COST)


class LookupSource:
    """Tokens that the answers to one prompt may copy. `is_likely`: they are expected to, from the first token on.

    The negative ids of media are left out.
    """

    def __init__(self, tokens: Sequence[int], *, is_likely: bool) -> None:
        self.tokens = tuple(token for token in tokens if token >= 0)
        self.is_likely = is_likely
        self.ends: dict[Run, int] = {}  # the latest end of each run of three tokens
        for end, ((first, second), (_, third)) in enumerate(pairwise(pairwise(self.tokens)), 3):
            self.ends[first, second, third] = end


class PromptLookup:
    """Predicts one candidate's answer of at most `budget` tokens. Fed with every token sampled, at a constant cost."""

    def __init__(self, source: LookupSource, budget: int) -> None:
        self._source = source
        self._known = list(source.tokens)  # followed by the answer so far
        self._ends: dict[Run, int] = {}  # as the source's, for runs that end in the answer
        self._left = budget
        self._next = 0 if source.is_likely and source.tokens else None  # index in `_known` of the copy's next token
        self._last_match = 0  # index after the last token that the copy predicted correctly, …
        self._mismatched = 0 if source.is_likely else RESYNC_DISTANCE  # … and the number of tokens sampled since
        # The probability that a predicted token is sampled.
        self._acceptance = INITIAL_ACCEPTANCE if source.is_likely else INITIAL_ACCEPTANCE_UNLIKELY

    def feed(self, token: int) -> None:
        """Record a sampled token: follow the copy, or look for one."""
        known, next_ = self._known, self._next
        self._left -= 1
        self._mismatched += 1
        if next_ is not None and known[next_] == token:
            self._acceptance += _LEARNING_RATE * (1.0 - self._acceptance)
            self._next = self._last_match = next_ + 1
            self._mismatched = 0
        elif next_ is not None:
            self._acceptance -= _LEARNING_RATE * self._acceptance
            self._next = None
        known.append(token)
        if len(known) < 3:
            return
        run = (known[-3], known[-2], token)
        if self._next is None:
            self._next = self._resync(token) or self._ends.get(run) or self._source.ends.get(run)
        self._ends[run] = len(known)

    def draft(self, room: int, min_acceptance: float) -> tuple[int, ...]:
        """Return the tokens worth computing after the last one sampled, at most `room`.

        `min_acceptance`: the acceptance from which a draft token is worth its cost, 0 if it was measured to cost
        nothing. The n-th draft token is accepted with probability acceptance ** n.
        """
        if self._next is None or self._acceptance <= min_acceptance:
            return ()
        worthwhile = int(math.log(min_acceptance) / math.log(self._acceptance)) if min_acceptance > 0.0 else MAX_DRAFT
        size = min(worthwhile, MAX_DRAFT, room, self._left - 1)
        return tuple(self._known[self._next : self._next + max(0, size)])

    def _resync(self, token: int) -> int | None:
        """Return the index after this token shortly after the copy broke off: a change ends there, the copy resumes."""
        if self._mismatched > RESYNC_DISTANCE:
            return None
        start, end = self._last_match, min(self._last_match + RESYNC_DISTANCE, len(self._known) - 1)
        try:
            return self._known.index(token, start, end) + 1
        except ValueError:
            return None
