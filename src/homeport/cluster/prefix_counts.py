"""Which prefixes are asked for how often: recent requests counted by block. Pure; knows nothing of replicas."""

from collections import OrderedDict
from collections.abc import Sequence

MAX_BLOCKS = 1 << 17
"""Blocks that are counted: about 15 MB. The least recently used ones are forgotten."""
MIN_REQUESTS = 1000


class PrefixCounts:
    """Counts of blocks and of all requests, which are halved from time to time, so that they follow what is asked."""

    def __init__(self) -> None:
        self._counts: OrderedDict[int, int] = OrderedDict()
        self._total = 0

    def share(self, block: int) -> float:
        """Return the share of recent requests whose prompts have this block, and all blocks before it."""
        return self._counts.get(block, 0) / max(self._total, MIN_REQUESTS)

    def add(self, blocks: Sequence[int], window: int) -> None:
        """Count a request. After twice the window, in requests, the counts are halved."""
        for block in reversed(blocks):  # the first blocks of a prompt are forgotten last
            self._counts[block] = self._counts.get(block, 0) + 1
            self._counts.move_to_end(block)
        while len(self._counts) > MAX_BLOCKS:
            self._counts.popitem(last=False)
        self._total += 1
        if self._total >= 2 * max(window, MIN_REQUESTS):
            self._total //= 2
            self._counts = OrderedDict((block, count // 2) for block, count in self._counts.items() if count > 1)
