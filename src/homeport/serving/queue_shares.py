"""How keys share the places in one model's queue. Pure policy; knows nothing of requests or models.

A holder (a key; all callers without one count as one) may take every free place as long as no other holder asks for
one. If another holder has asked recently, admitted or not, the last quarter is reserved for holders below their share.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable

RECENT_S = 600.0
_RESERVED = 4
"""One place in this many is reserved for holders below their share."""


class QueueShares:
    """The places of one model: `places` in all. The cost of a call does not depend on the number of holders."""

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.resize(places)
        self._clock = clock
        self.taken = 0
        self._taken_by: Counter[str] = Counter()
        self._last_asked: OrderedDict[str, float] = OrderedDict()  # each holder's last request, oldest first

    @property
    def places(self) -> int:
        """The places in all."""
        return self._places

    def resize(self, places: int) -> None:
        """Change the number of places. Places that are taken stay taken."""
        self._places = places
        self._unreserved = places - places // _RESERVED

    def acquire(self, holder: str) -> bool:
        """Take a place; False: there is none for this holder now."""
        now = self._clock()
        self._last_asked[holder] = now
        self._last_asked.move_to_end(holder)
        while next(iter(self._last_asked.values())) < now - RECENT_S:
            self._last_asked.popitem(last=False)
        share = max(1, self._places // len(self._last_asked))
        if self.taken >= self._places or (self.taken >= self._unreserved and self._taken_by[holder] >= share):
            return False
        self.taken += 1
        self._taken_by[holder] += 1
        return True

    def release(self, holder: str) -> None:
        """Return a place."""
        self.taken -= 1
        self._taken_by[holder] -= 1
        if not self._taken_by[holder]:
            del self._taken_by[holder]
