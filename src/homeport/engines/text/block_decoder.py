"""The interface to what computes logits over blocks of KV, and what it needs of the executor beside it.

Knows nothing of requests, and of who uses which blocks.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from homeport.engines.text.executor import Executor, Logits, TokenBatch
from homeport.engines.text.kv_rows import KVRows


class BlockRun(NamedTuple):
    """Tokens `start`..`start + n_tokens` of a sequence in these blocks, in a batch."""

    start: int
    n_tokens: int
    blocks: Sequence[int]


class BlockDecoder(Protocol):
    """Computes logits over blocks of KV. Only the step thread calls it."""

    @property
    def description(self) -> str:
        """What computes, for `doctor` and logs."""
        ...

    @property
    def n_blocks(self) -> int:
        """The number of its blocks."""
        ...

    @property
    def block_tokens(self) -> int:
        """The tokens of a block."""
        ...

    def compute(self, batch: TokenBatch, runs: Sequence[BlockRun]) -> Logits:
        """Compute a batch of these runs, and store their KV.

        Return the rows of `logits_indices`, valid until the next call.
        """
        ...

    def copy_block(self, source: int, target: int) -> None:
        """Copy what one block contains into another."""
        ...

    def read(self, blocks: Sequence[int], n_tokens: int) -> KVRows:
        """Return a copy of the KV of the first `n_tokens` in these blocks."""
        ...

    def write(self, blocks: Sequence[int], rows: KVRows, start: int) -> None:
        """Store the rows from `start` on in these blocks. `rows` begins at position 0."""
        ...


class RowsHost(Executor, Protocol):
    """An executor whose KV can be read and written."""

    def read_rows(self, sequence: int) -> KVRows:
        """Return a copy of a sequence's KV. Raises EngineFailed if its format is not known."""
        ...

    def append_rows(self, sequence: int, rows: KVRows, start: int) -> None:
        """Store the rows from `start` on after a sequence's last token, which is the one before.

        `rows` has those before, too. Raises EngineFailed if there is no room.
        """
        ...

    def pack_rows(self, rows: KVRows) -> bytes:
        """Return rows as `save` would. Raises EngineFailed if the format is not known."""
        ...

    def unpack_rows(self, state: bytes) -> KVRows:
        """Return what `save` returned as rows. Raises EngineFailed if the format is not known."""
        ...
