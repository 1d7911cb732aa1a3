"""The prefix cache of a replica: blocks of prompts, of which the least recently used one is evicted. No policy."""

from collections import OrderedDict
from collections.abc import Sequence


class PrefixCache:
    """At most `capacity` blocks. A block is of use only if all blocks before it in a prompt are cached, too."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def leading(self, blocks: Sequence[int]) -> int:
        """Return how many blocks at the beginning of a prompt are cached."""
        return next((count for count, block in enumerate(blocks) if block not in self._blocks), len(blocks))

    def use(self, blocks: Sequence[int]) -> None:
        """Add the blocks of a prompt, or mark them as used: the last ones are evicted before the first ones."""
        for block in reversed(blocks[: self._capacity]):
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)

    def clear(self) -> None:
        """Forget everything, as a replica that starts again does."""
        self._blocks.clear()
