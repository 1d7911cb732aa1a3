"""Computes the KV of long prompts elsewhere than the other tokens, where that is faster.

`PrefillExecutor` wraps the executor that decodes, the host, and is used like it. From the tokens of a step it takes the
long runs of a sequence whose logits are not wanted; a `Prefill` computes their keys and values, which are stored in the
host's memory when the sequence is used otherwise: usually when the last token of the prompt is computed, by the host.
Until then they are pending here, so that the parts of a long prompt are stored once. All else is the host's work.

The first long prompt is computed by both. The prefill is used only if its keys and values are the same but for
rounding, and if it is faster. Knows nothing of requests, and of how either computes.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed, HomeportError
from homeport.engines.text.executor import (
    Executor,
    ExecutorTraits,
    Logits,
    TokenBatch,
    TokenizerPointers,
    Vocabulary,
)
from homeport.engines.text.kv_rows import KVRows
from homeport.engines.text.token_batches import select

MIN_TOKENS = 32
"""The shortest run that is computed elsewhere: below this, the fixed cost of a pass dominates."""

_TOKENS_READ = 32  # tokens read from the host's memory in about the time in which one is computed
_CHECKED_TOKENS = MIN_TOKENS  # in the run by which a prefill is checked
_MAX_DEVIATION = 0.3  # relative error of keys and values: rounding differs by 0.01 to 0.1, another computation by 1
_CHECKS = 3  # prompts that a prefill may be slower for: a program that comes and goes decides no more than one

logger = logging.getLogger("homeport.text")


class Prefill(Protocol):
    """Computes keys and values of prompt tokens. Only the step thread calls it."""

    @property
    def description(self) -> str:
        """What computes, for `doctor` and logs."""
        ...

    def compute(self, tokens: NDArray[np.int32], rows: KVRows) -> None:
        """Append the keys and values of the tokens that follow `rows`, which begin at position 0."""
        ...


class PrefillHost(Executor, Protocol):
    """An executor whose KV can be read and written."""

    def new_rows(self) -> KVRows:
        """Return no rows, of the model's layers and width."""
        ...

    def read_rows(self, sequence: int) -> KVRows:
        """Return a copy of a sequence's KV. Raises EngineFailed if its format is not known."""
        ...

    def append_rows(self, sequence: int, rows: KVRows, start: int) -> None:
        """Store the rows from `start` on after a sequence's last token, which is the one before.

        `rows` has those before, too. Raises EngineFailed if there is no room.
        """
        ...


class _Run(NamedTuple):
    """Consecutive tokens of one sequence in a batch: from `first`, `n_tokens` of them, without logits."""

    sequence: int
    first: int
    n_tokens: int

    @property
    def part(self) -> slice:
        return slice(self.first, self.first + self.n_tokens)


class _Pending:
    """What was computed of a sequence: all `rows`, and the tokens of those that the host lacks, from `stored` on."""

    def __init__(self, rows: KVRows) -> None:
        self.rows = rows
        self.stored = rows.end
        self._tokens = np.empty(0, np.int32)

    @property
    def tokens(self) -> NDArray[np.int32]:
        """The tokens from `stored` on."""
        return self._tokens[: self.rows.end - self.stored]

    def add(self, tokens: NDArray[np.int32]) -> None:
        """Record tokens whose rows were appended."""
        self._tokens = np.concatenate([self._tokens[: self.rows.end - self.stored - len(tokens)], tokens])


class PrefillExecutor:
    """Implements `Executor` with a host, which it owns, and a prefill that `open_prefill` opens in the background."""

    def __init__(self, host: PrefillHost, open_prefill: Callable[[], Prefill]) -> None:
        self._host = host
        self._candidate: Prefill | None = None  # opened, not yet checked
        self._prefill: Prefill | None = None
        self._checks_left = _CHECKS
        self._pending: dict[int, _Pending] = {}
        self._thread = threading.Thread(target=self._open, args=(open_prefill,), name="prefill", daemon=True)
        self._thread.start()

    def _open(self, open_prefill: Callable[[], Prefill]) -> None:
        try:
            began = time.monotonic()
            self._candidate = open_prefill()
            logger.info("%s is ready after %.1f s", self._candidate.description, time.monotonic() - began)
        except HomeportError as error:
            logger.info("prompts are computed by the decoding kernels: %s", error.message)
        except Exception:
            logger.warning("prompts are computed by the decoding kernels", exc_info=True)

    def wait_opened(self) -> None:
        """Wait until the prefill is opened, or cannot be."""
        self._thread.join()

    @property
    def prompts(self) -> str:
        """What computes long prompts now; empty while the host does."""
        prefill = self._prefill
        return prefill.description if prefill else ""

    @property
    def traits(self) -> ExecutorTraits:
        """The host's."""
        return self._host.traits

    @property
    def vocabulary(self) -> Vocabulary:
        """The host's."""
        return self._host.vocabulary

    @property
    def metadata(self) -> Mapping[str, str]:
        """The host's."""
        return self._host.metadata

    @property
    def kernels(self) -> str:
        """The host's."""
        return self._host.kernels

    @property
    def device_bytes(self) -> int:
        """The host's."""
        return self._host.device_bytes

    @property
    def tokenizer_pointers(self) -> TokenizerPointers | None:
        """The host's."""
        return self._host.tokenizer_pointers

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return the ids of a text, from any thread."""
        return self._host.tokenize(text, special=special)

    def forward(self, batch: TokenBatch) -> Logits:
        """Compute a batch; return rows (M, vocabulary) for `logits_indices`, valid until the next call."""
        if self._candidate is not None and not batch.adapter:
            run = next((run for run in _runs(batch) if self._can_check(batch, run)), None)
            if run is not None:
                return self._check(batch, run, self._candidate)
        is_left = np.ones(len(batch.tokens), np.bool_)
        if self._prefill is not None and not batch.adapter:
            for run in _runs(batch):
                if self._is_worthwhile(run, int(batch.positions[run.first])) and self._compute(batch, run):
                    is_left[run.part] = False
        for sequence in self._pending.keys() & set(batch.sequences[is_left].tolist()):
            self._store(sequence)
        if is_left.all():
            return self._host.forward(batch)
        if not is_left.any():
            return np.empty((0, self.vocabulary.size), np.float32)
        return self._host.forward(select(batch, is_left))

    def prepare_length(self, n_tokens: int) -> None:
        """Announce that a sequence will have this length."""
        self._host.prepare_length(n_tokens)

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Copy the first `n_tokens` of `source` into the empty sequence `target`."""
        self._store(source)
        self._host.fork(source, target, n_tokens)

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence."""
        if sequence in self._pending:
            if n_tokens > self._pending[sequence].stored:
                self._pending[sequence].rows.trim(n_tokens)
                return
            del self._pending[sequence]
        self._host.trim(sequence, n_tokens)

    def release(self, sequences: Sequence[int]) -> None:
        """Empty these sequences."""
        for sequence in sequences:
            self._pending.pop(sequence, None)
        self._host.release(sequences)

    def save(self, sequence: int) -> bytes:
        """Return a sequence's KV as bytes."""
        self._store(sequence)
        return self._host.save(sequence)

    def restore(self, sequence: int, state: bytes) -> None:
        """Load saved KV into an empty sequence. Raises EngineFailed if it cannot; the sequence is then empty."""
        self._host.restore(sequence, state)

    def load_adapter(self, adapter: str, file: Path) -> None:
        """Load an adapter. Its batches are computed by the host."""
        self._host.load_adapter(adapter, file)

    def unload_adapter(self, adapter: str) -> None:
        """Free an adapter."""
        self._host.unload_adapter(adapter)

    def close(self) -> None:
        """Free everything."""
        self._thread.join()
        self._pending.clear()
        self._prefill = self._candidate = None
        self._host.close()

    def _is_worthwhile(self, run: _Run, start: int) -> bool:
        reads = 0 if run.sequence in self._pending else start
        return run.n_tokens >= max(MIN_TOKENS, reads // _TOKENS_READ)

    def _compute(self, batch: TokenBatch, run: _Run) -> bool:
        """Compute the KV of a run, which is then pending; False if that failed: the host must compute it."""
        prefill, start = self._prefill, int(batch.positions[run.first])
        if prefill is None:
            return False
        try:
            if run.sequence not in self._pending:
                rows = self._host.read_rows(run.sequence) if start else self._host.new_rows()
                self._pending[run.sequence] = _Pending(rows)
            pending = self._pending[run.sequence]
            if pending.rows.end != start:
                raise EngineFailed(f"{pending.rows.end} tokens of a sequence are known, not {start}.")
            prefill.compute(batch.tokens[run.part], pending.rows)
            pending.add(batch.tokens[run.part])
        except Exception:
            logger.warning("from now on prompts are computed by the decoding kernels", exc_info=True)
            self._prefill = None
            if run.sequence in self._pending:
                self._pending[run.sequence].rows.trim(start)
            return False
        return True

    def _store(self, sequence: int) -> None:
        """Store what is pending of a sequence in the host's memory."""
        pending = self._pending.pop(sequence, None)
        if pending is None or not len(pending.tokens):
            return
        try:
            self._host.append_rows(sequence, pending.rows, pending.stored)
        except EngineFailed as error:  # llama.cpp stores rows only in adjacent cells of a unified cache
            logger.info("a prompt of %d tokens is computed again: %s", pending.rows.end, error.message)
            self._compute_again(sequence, pending)

    def _compute_again(self, sequence: int, pending: _Pending) -> None:
        """Let the host compute what it could not store. Raises EngineFailed without room."""
        size, start = self.traits.batch, pending.stored
        for first in range(0, len(pending.tokens), size):
            tokens = pending.tokens[first : first + size]
            positions = np.arange(start + first, start + first + len(tokens), dtype=np.int32)
            sequences = np.full(len(tokens), sequence, np.int32)
            self._host.forward(TokenBatch(tokens, positions, sequences, np.empty(0, np.int32)))

    def _can_check(self, batch: TokenBatch, run: _Run) -> bool:
        """Return whether a run begins a sequence, and is most of its batch, so that the batch's time is the run's."""
        return (
            run.n_tokens >= _CHECKED_TOKENS
            and batch.positions[run.first] == 0
            and 4 * run.n_tokens >= 3 * len(batch.tokens)
        )

    def _check(self, batch: TokenBatch, run: _Run, candidate: Prefill) -> Logits:
        """Let the host compute a batch, and compare the candidate's keys, values and time for a run of it."""
        self._candidate, self._checks_left = None, self._checks_left - 1
        began = time.perf_counter()
        logits = self._host.forward(batch)
        host_s = (time.perf_counter() - began) * run.n_tokens / len(batch.tokens)
        try:
            expected = self._host.read_rows(run.sequence)
            expected.trim(run.n_tokens)
            candidate.compute(batch.tokens[run.part], self._host.new_rows())  # the first pass prepares the kernels
            rows = self._host.new_rows()
            began = time.perf_counter()
            candidate.compute(batch.tokens[run.part], rows)
            own_s = time.perf_counter() - began
            deviation = max(_deviation(rows.keys, expected.keys), _deviation(rows.values, expected.values))
        except Exception:
            logger.warning(
                "%s failed: prompts are computed by the decoding kernels", candidate.description, exc_info=True
            )
            return logits
        if not deviation <= _MAX_DEVIATION:
            logger.warning(
                "%s is not used: its keys and values differ by %.2g from those of the decoding kernels",
                candidate.description,
                deviation,
            )
        elif own_s >= host_s and self._checks_left:
            self._candidate = candidate
        elif own_s >= host_s:
            logger.info(
                "%s is not used: %d tokens take %.0f ms, %.0f ms with the decoding kernels",
                *(candidate.description, run.n_tokens, 1000 * own_s, 1000 * host_s),
            )
        else:
            self._prefill = candidate
            logger.info("%s computes prompts, %.1f times as fast", candidate.description, host_s / own_s)
        return logits


def _runs(batch: TokenBatch) -> list[_Run]:
    """Return the sequences of a batch, each without its last token if that has logits; none that has others."""
    edges = np.flatnonzero(np.diff(batch.sequences)) + 1
    wanted = set(batch.logits_indices.tolist())
    runs = []
    for first, end in zip([0, *edges.tolist()], [*edges.tolist(), len(batch.tokens)], strict=True):
        last = end - 1 if end - 1 in wanted else end
        if last - first >= MIN_TOKENS and wanted.isdisjoint(range(first, last)):
            runs.append(_Run(int(batch.sequences[first]), first, last - first))
    return runs


def _deviation(rows: NDArray[np.float16], expected: NDArray[np.float16]) -> float:
    """Return the relative error of an array (root mean square)."""
    difference = rows.astype(np.float32) - expected.astype(np.float32)
    scale = float(np.linalg.norm(expected.astype(np.float32)))
    return float(np.linalg.norm(difference)) / max(scale, 1e-9)
