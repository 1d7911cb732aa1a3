"""Which blocks of a paged KV cache hold which sequence.

A block holds the KV of a fixed number of consecutive tokens. Sequences that begin alike share blocks; a shared block is
copied before a token is added to it. Knows nothing of what blocks contain and of who computes it.
Source: PagedAttention (Kwon et al., "Efficient Memory Management for Large Language Model Serving", 2023).
"""

from collections.abc import Callable, Sequence


class BlockTables:
    """The blocks 0..`n_blocks`-1 of `size` tokens each. `copy`: copies the first block into the second."""

    def __init__(self, n_blocks: int, size: int, copy: Callable[[int, int], None]) -> None:
        self._size = size
        self._copy = copy
        self._free = list(range(n_blocks - 1, -1, -1))  # used last is used first: its memory is already taken
        self._users = [0] * n_blocks
        self._tables: dict[int, list[int]] = {}
        self._lengths: dict[int, int] = {}

    @property
    def free(self) -> int:
        """The number of blocks that hold nothing."""
        return len(self._free)

    def length(self, sequence: int) -> int:
        """Return the number of tokens that a sequence has here."""
        return self._lengths.get(sequence, 0)

    def table(self, sequence: int) -> Sequence[int]:
        """Return the blocks of a sequence in the order of its tokens."""
        return self._tables.get(sequence, ())

    def extend(self, sequence: int, n_tokens: int) -> bool:
        """Make room for more tokens of a sequence, and count them. False if there is none: nothing is changed then."""
        length, table = self.length(sequence), self._tables.get(sequence, [])
        missing = -(-(length + n_tokens) // self._size) - len(table)
        is_shared = length % self._size != 0 and self._users[table[-1]] > 1
        if missing + is_shared > len(self._free):
            return False
        if is_shared:
            own = self._take()
            self._copy(table[-1], own)
            self._users[table[-1]] -= 1
            table[-1] = own
        table.extend(self._take() for _ in range(missing))
        self._tables[sequence], self._lengths[sequence] = table, length + n_tokens
        return True

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Let the empty sequence `target` share the first `n_tokens` of `source`, or as many as there are."""
        n_tokens = min(n_tokens, self.length(source))
        if not n_tokens:
            return
        table = list(self.table(source)[: -(-n_tokens // self._size)])
        for block in table:
            self._users[block] += 1
        self._tables[target], self._lengths[target] = table, n_tokens

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence."""
        if n_tokens >= self.length(sequence):
            return
        table = self._tables[sequence]
        while len(table) > -(-n_tokens // self._size):
            block = table.pop()
            self._users[block] -= 1
            if not self._users[block]:
                self._free.append(block)
        self._lengths[sequence] = n_tokens
        if not n_tokens:
            del self._tables[sequence], self._lengths[sequence]

    def _take(self) -> int:
        block = self._free.pop()
        self._users[block] = 1
        return block
