"""A host and a decoder whose keys are the tokens themselves, so that tests can be exact."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed
from homeport.engines.text.block_decoder import BlockRun
from homeport.engines.text.executor import ExecutorTraits, TokenBatch, Vocabulary
from homeport.engines.text.kv_rows import KVRows
from homeport.engines.text.token_batches import runs_of


def as_rows(tokens: Sequence[int]) -> KVRows:
    """Return tokens as keys and values."""
    rows = KVRows(1, 1)
    keys, values = rows.extend(len(tokens))
    keys[0, :, 0] = values[0, :, 0] = tokens
    return rows


def logits_of(tokens: Sequence[int]) -> list[int]:
    """Return length, sum and last token as logits."""
    return [len(tokens), sum(tokens), tokens[-1]]


class TokenHost:
    """A host whose keys are the tokens themselves. `computed`: the tokens of each of its batches."""

    def __init__(self) -> None:
        self.tokens: dict[int, list[int]] = {}
        self.computed: list[int] = []
        self.is_closed = False
        self.has_room = True
        self.is_readable = True

    @property
    def traits(self) -> ExecutorTraits:
        """Those of a small executor."""
        return ExecutorTraits(8192, 8192, 8, 512, shares_cells=True, can_trim=True)

    @property
    def vocabulary(self) -> Vocabulary:
        """Three tokens."""
        return Vocabulary(3, (b"a", b"b", b"c"), frozenset(), None, 0, None, {})

    def read_rows(self, sequence: int) -> KVRows:
        if not self.is_readable:
            raise EngineFailed("unknown format")
        return as_rows(self.tokens.get(sequence, []))

    def pack_rows(self, rows: KVRows) -> bytes:
        return bytes(int(token) % 256 for token in rows.keys[0, :, 0])

    def unpack_rows(self, state: bytes) -> KVRows:
        return as_rows(list(state))

    def append_rows(self, sequence: int, rows: KVRows, start: int) -> None:
        if not self.has_room:
            raise EngineFailed("no adjacent cells")
        own = self.tokens.setdefault(sequence, [])
        tokens = rows.keys[0, :, 0].astype(int).tolist()
        assert (rows.start, tokens[:start]) == (0, own)
        own.extend(tokens[start:])

    def forward(self, batch: TokenBatch) -> NDArray[np.float32]:
        """Return the logits of the sequences so far."""
        self.computed.append(len(batch.tokens))
        rows = []
        for index, (token, position, sequence) in enumerate(
            zip(batch.tokens.tolist(), batch.positions.tolist(), batch.sequences.tolist(), strict=True)
        ):
            tokens = self.tokens.setdefault(sequence, [])
            assert position == len(tokens), "a token before this one is missing"
            tokens.append(token)
            if index in batch.logits_indices:
                rows.append(logits_of(tokens))
        return np.array(rows, np.float32).reshape(-1, 3)

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        self.tokens[target] = self.tokens[source][:n_tokens]

    def trim(self, sequence: int, n_tokens: int) -> None:
        self.tokens[sequence] = self.tokens.get(sequence, [])[:n_tokens]

    def release(self, sequences: Sequence[int]) -> None:
        for sequence in sequences:
            self.tokens.pop(sequence, None)

    def save(self, sequence: int) -> bytes:
        return bytes(token % 256 for token in self.tokens.get(sequence, []))

    def restore(self, sequence: int, state: bytes) -> None:
        self.tokens[sequence] = list(state)

    def close(self) -> None:
        self.is_closed = True


class TokenDecoder:
    """Blocks of tokens. `error` is added to what is read of them; `fails`: computing raises."""

    description = "the test's decoder"
    n_blocks = 512
    block_tokens = 32

    def __init__(self, error: float = 0.0) -> None:
        self.error = error
        self.fails = False
        self.computed: list[int] = []
        self._blocks = np.zeros((self.n_blocks, self.block_tokens), np.int64)

    def compute(self, batch: TokenBatch, runs: Sequence[BlockRun]) -> NDArray[np.float32]:
        """Return the logits of the sequences so far."""
        if self.fails:
            raise RuntimeError("out of memory")
        self.computed.append(len(batch.tokens))
        rows = []
        for run, found in zip(runs, runs_of(batch), strict=True):
            assert (run.start, run.n_tokens) == (found.start, found.n_tokens)
            for at, token in enumerate(batch.tokens[found.part].tolist(), run.start):
                self._blocks[run.blocks[at // 32], at % 32] = token
                if found.first + at - run.start in batch.logits_indices:
                    rows.append(logits_of(self._tokens(run.blocks, at + 1)))
        return np.array(rows, np.float32).reshape(-1, 3)

    def copy_block(self, source: int, target: int) -> None:
        self._blocks[target] = self._blocks[source]

    def read(self, blocks: Sequence[int], n_tokens: int) -> KVRows:
        rows = as_rows(self._tokens(blocks, n_tokens))
        rows.keys[:] += np.float16(self.error)
        return rows

    def write(self, blocks: Sequence[int], rows: KVRows, start: int) -> None:
        assert rows.start == 0
        for at, token in enumerate(rows.keys[0, :, 0].astype(int).tolist()):
            if at >= start:
                self._blocks[blocks[at // 32], at % 32] = token

    def _tokens(self, blocks: Sequence[int], n_tokens: int) -> list[int]:
        return [int(token) for token in self._blocks[list(blocks)].reshape(-1)[:n_tokens]]
