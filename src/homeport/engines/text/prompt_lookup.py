"""Guess an answer's next tokens from what it seems to copy: the text to be edited, or the prompt and itself.

The guess costs no model: a copy is found by the last tokens drawn and followed while the draws agree with it. Whether
guesses are worth computing is learnt for nothing, by holding every draw against what the copy foretold, computed or
not: where nothing repeats, nothing is computed in vain. Source of the idea: prompt lookup decoding (Saxena 2023).
Knows nothing of logits, cells or other requests.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

Run = tuple[int, int, int]

ROW_COST = 0.4
"""What one more token in a step costs, as a share of what a step of one token does, until that is measured."""
MAX_DRAFT = 32  # tokens of a guess
RESYNC_DISTANCE = 16  # tokens ahead of where a copy broke off in which one equal token is enough to take it up again
INITIAL_ACCEPTANCE, INITIAL_ACCEPTANCE_UNLIKELY = (
    0.9,
    0.3,
)  # the first trust in a copy: of a text to be edited, and of any other
_LEARNING = 0.125  # how far one foretold token moves the trust


def assumed_min_acceptance(rows: int) -> float:
    """How often a guess must come true to pay in a step of `rows` tokens without it, where nothing was measured.

    A step of B tokens costs 1 - c + cB, so a token drawn a step early saves c and one B-th of 1 - c.
    """
    return ROW_COST * rows / (ROW_COST * rows + 1.0 - ROW_COST)


class LookupSource:
    """Tokens that the answers to one prompt may copy. `is_likely`: they are expected to, from its beginning."""

    def __init__(self, tokens: Sequence[int], *, is_likely: bool) -> None:
        self.tokens = tuple(tokens)
        self.is_likely = is_likely
        self.ends: dict[Run, int] = {}  # where a run of three tokens ended last
        for end, ((first, second), (_, third)) in enumerate(pairwise(pairwise(self.tokens)), 3):
            self.ends[first, second, third] = end


class PromptLookup:
    """Foretells one candidate's answer of at most `budget` tokens. Fed with every token drawn, at a constant cost."""

    def __init__(self, source: LookupSource, budget: int) -> None:
        self._source = source
        self._known = list(source.tokens)  # and behind it the answer so far
        self._ends: dict[Run, int] = {}  # as the source's, for runs that end in the answer
        self._left = budget
        self._next = 0 if source.is_likely and source.tokens else None  # where in `_known` the copy goes on
        self._broken = 0  # where the latest copy that proved right went on, …
        self._strayed = 0 if source.is_likely else RESYNC_DISTANCE  # … and how many tokens were drawn since
        self._trust = (
            INITIAL_ACCEPTANCE if source.is_likely else INITIAL_ACCEPTANCE_UNLIKELY
        )  # how probable it is that a foretold token is drawn

    def feed(self, token: int) -> None:
        """A token was drawn: follow the copy, or look for one."""
        known, next_ = self._known, self._next
        self._left -= 1
        self._strayed += 1
        if next_ is not None and known[next_] == token:
            self._trust += _LEARNING * (1.0 - self._trust)
            self._next = self._broken = next_ + 1
            self._strayed = 0
        elif next_ is not None:
            self._trust -= _LEARNING * self._trust
            self._next = None
        known.append(token)
        if len(known) < 3:
            return
        run = (known[-3], known[-2], token)
        if self._next is None:
            self._next = self._resync(token) or self._ends.get(run) or self._source.ends.get(run)
        self._ends[run] = len(known)

    def draft(self, room: int, pays: float) -> tuple[int, ...]:
        """The tokens worth computing behind the last one drawn, at most `room`.

        `pays`: how often a guess must come true to be worth its cost, 0 where it was measured to cost nothing. The n-th
        in a row does so with trust ** n.
        """
        if self._next is None or self._trust <= pays:
            return ()
        worth = int(math.log(pays) / math.log(self._trust)) if pays > 0.0 else MAX_DRAFT
        size = min(worth, MAX_DRAFT, room, self._left - 1)
        return tuple(self._known[self._next : self._next + max(0, size)])

    def _resync(self, token: int) -> int | None:
        """Behind this token, a little ahead of where the copy broke off: it was changed, and goes on there."""
        if self._strayed > RESYNC_DISTANCE:
            return None
        try:
            return self._known.index(token, self._broken, min(self._broken + RESYNC_DISTANCE, len(self._known) - 1)) + 1
        except ValueError:
            return None
