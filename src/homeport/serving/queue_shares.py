"""How keys share the places in one model's queue. Pure policy; knows nothing of requests or models.

A holder (a key; all callers without one count as one) may take every free place as long as nobody else asks for one. If
another holder has asked recently, admitted or not, the last quarter is reserved for holders below their share.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable

LATELY_S = 600.0
_RESERVED = 4
"""One place of so many is for those below their share."""


class QueueShares:
    """The places of one model: `places` in all. The cost of a call does not depend on the number of holders."""

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._open = places - places // _RESERVED
        self._clock = clock
        self.taken = 0
        self._held: Counter[str] = Counter()
        self._asked: OrderedDict[str, float] = OrderedDict()  # when each asked last; who did longest ago comes first

    def enter(self, holder: str) -> bool:
        """Take a place; False: there is none for this holder now."""
        now = self._clock()
        self._asked[holder] = now
        self._asked.move_to_end(holder)
        while next(iter(self._asked.values())) < now - LATELY_S:
            self._asked.popitem(last=False)
        share = max(1, self._places // len(self._asked))
        if self.taken >= self._places or (self.taken >= self._open and self._held[holder] >= share):
            return False
        self.taken += 1
        self._held[holder] += 1
        return True

    def leave(self, holder: str) -> None:
        """Give a place back."""
        self.taken -= 1
        self._held[holder] -= 1
        if not self._held[holder]:
            del self._held[holder]
