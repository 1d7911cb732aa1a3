"""The KV of sequences in two places: in the host's memory, and in a decoder's blocks, each up to some token.

What either computes is valid only after it has all tokens before, so these are copied first. Together both hold a whole
sequence, and what both hold is the same. Knows nothing of who computes what.
"""

import logging
from collections.abc import Sequence

from homeport.domain.errors import EngineFailed
from homeport.engines.text.block_decoder import BlockDecoder, BlockRun, RowsHost
from homeport.engines.text.block_tables import BlockTables
from homeport.engines.text.token_batches import Run

logger = logging.getLogger("homeport.text")


class HybridMemory:
    """Which tokens of each sequence are where. Without a decoder all are the host's."""

    def __init__(self, host: RowsHost) -> None:
        self._host = host
        self._decoder: BlockDecoder | None = None
        self._tables = BlockTables(0, 1, _copy_nothing)
        self._in_host: dict[int, int] = {}

    def use(self, decoder: BlockDecoder) -> None:
        """Use a decoder's blocks, which hold nothing of value."""
        self._decoder = decoder
        self._tables = BlockTables(decoder.n_blocks, decoder.block_tokens, decoder.copy_block)

    def in_host(self, sequence: int) -> int:
        """Return the tokens that the host has of a sequence."""
        return self._in_host.get(sequence, 0)

    def in_blocks(self, sequence: int) -> int:
        """Return the tokens that are in blocks of a sequence."""
        return self._tables.length(sequence)

    def prepare_blocks(self, run: Run) -> BlockRun | None:
        """Copy what blocks lack of the tokens before a run, and make room for it; None if that is not possible."""
        if self._decoder is None:
            return None
        known = self._tables.length(run.sequence)
        if not self._tables.extend(run.sequence, run.start + run.n_tokens - known):
            return None
        table = self._tables.table(run.sequence)
        if known < run.start:
            try:
                rows = self._host.read_rows(run.sequence)
            except EngineFailed as error:
                logger.info("the kernels compute on: %s", error.message)
                self._tables.trim(run.sequence, known)
                return None
            self._decoder.write(table, rows, known)
        return BlockRun(run.start, run.n_tokens, table)

    def undo(self, runs: Sequence[Run]) -> None:
        """Forget the room of runs that were not computed."""
        for run in runs:
            self._tables.trim(run.sequence, run.start)

    def prepare_host(self, run: Run) -> None:
        """Copy what the host lacks of the tokens before a run. Raises EngineFailed if there is no room for them."""
        self._complete_host(run.sequence, run.start)
        self._in_host[run.sequence] = run.start + run.n_tokens

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Copy the first `n_tokens` of `source` into the empty sequence `target`. Blocks are shared."""
        self._tables.fork(source, target, n_tokens)
        if self.in_blocks(source) < n_tokens:
            self._host.fork(source, target, n_tokens)
            self._in_host[target] = n_tokens

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence."""
        self._tables.trim(sequence, n_tokens)
        if self.in_host(sequence) > n_tokens:
            self._host.trim(sequence, n_tokens)
            self._in_host[sequence] = n_tokens

    def release(self, sequences: Sequence[int]) -> None:
        """Empty these sequences."""
        for sequence in sequences:
            self._tables.trim(sequence, 0)
            self._in_host.pop(sequence, None)
        self._host.release(sequences)

    def save(self, sequence: int) -> bytes:
        """Return a sequence's KV as the host would."""
        n_tokens = self.in_blocks(sequence)
        if self._decoder is None or self.in_host(sequence) >= n_tokens:
            return self._host.save(sequence)
        return self._host.pack_rows(self._decoder.read(self._tables.table(sequence), n_tokens))

    def restore(self, sequence: int, state: bytes) -> None:
        """Load saved KV into an empty sequence. Raises EngineFailed if it cannot; the sequence is then empty."""
        rows = self._host.unpack_rows(state)
        if self._decoder is not None and self._tables.extend(sequence, rows.end):
            self._decoder.write(self._tables.table(sequence), rows, 0)
        else:
            self._host.restore(sequence, state)
            self._in_host[sequence] = rows.end

    def _complete_host(self, sequence: int, n_tokens: int) -> None:
        known = self.in_host(sequence)
        if known >= n_tokens or self._decoder is None:
            return
        rows = self._decoder.read(self._tables.table(sequence), n_tokens)
        try:
            self._host.append_rows(sequence, rows, known)
        except EngineFailed:
            self._host.trim(sequence, 0)  # what it has kept depends on its layout
            self._in_host[sequence] = 0
            raise
        self._in_host[sequence] = n_tokens


def _copy_nothing(source: int, target: int) -> None:
    raise AssertionError(f"block {source} cannot be copied to {target}: there are no blocks")
