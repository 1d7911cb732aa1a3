"""Computes each token where that is faster: by the host, an executor, or by a decoder over blocks of KV.

`HybridExecutor` wraps the host and is used like it. The decoder computes long runs of prompts, and steps of several
sequences; the host computes steps of a single sequence, and adapters. The first long prompt is computed by both: the
decoder is used only if its keys, values and logits differ by rounding alone, and only for sizes at which it is faster.
Knows nothing of requests, and of how either computes.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed, HomeportError, Unavailable
from homeport.engines.text.block_decoder import BlockDecoder, BlockRun, RowsHost
from homeport.engines.text.decoder_check import ALONE, LONG, TOGETHER, CheckResult, check
from homeport.engines.text.executor import ExecutorTraits, Logits, TokenBatch, TokenizerPointers, Vocabulary
from homeport.engines.text.hybrid_memory import HybridMemory
from homeport.engines.text.token_batches import Run, runs_of, select

_STEPS_ALONE = 2  # for which a sequence has been alone before it moves to the host …
_TOKENS_COPIED = 128  # … or one for each of these tokens to be copied, if that is more: a step there saves as much
_STEPS_UNTIL_RETRY = 256  # if it found no room there
_MAX_CHECKED = 4096  # tokens of a sequence that is copied to be compared
_CHECKS = 3  # prompts that a decoder may be slower for: a program that comes and goes decides no more than one

logger = logging.getLogger("homeport.text")


class HybridExecutor:
    """Implements `Executor` with a host, which it owns, and a decoder that `open_decoder` opens in the background."""

    def __init__(self, host: RowsHost, open_decoder: Callable[[], BlockDecoder]) -> None:
        self._host = host
        self._memory = HybridMemory(host)
        self._candidate: BlockDecoder | None = None  # opened, not yet checked
        self._checks_left = _CHECKS
        self._decoder: BlockDecoder | None = None
        self._short_sizes: frozenset[int] = frozenset()  # of the short steps that the decoder computes
        self._alone: tuple[int, int] = (-1, 0)  # the sequence that was alone in the last steps, and their number
        self._thread = threading.Thread(target=self._open, args=(open_decoder,), name="decoder", daemon=True)
        self._thread.start()

    def _open(self, open_decoder: Callable[[], BlockDecoder]) -> None:
        try:
            began = time.monotonic()
            self._candidate = open_decoder()
            logger.info("%s is ready after %.1f s", self._candidate.description, time.monotonic() - began)
        except HomeportError as error:
            logger.info("the kernels compute all tokens: %s", error.message)
        except Exception:
            logger.warning("the kernels compute all tokens", exc_info=True)

    def wait_opened(self) -> None:
        """Wait until the decoder is opened, or cannot be."""
        self._thread.join()

    @property
    def prompts(self) -> str:
        """What computes prompts and several streams now; empty while the host does."""
        decoder = self._decoder
        return decoder.description if decoder else ""

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
        runs = runs_of(batch)
        if self._candidate is not None and not batch.adapter:
            run = next((run for run in runs if _can_check(batch, run)), None)
            if run is not None:
                return self._check(batch, runs, run, self._candidate)
        if self._decoder is None or batch.adapter:
            return self._compute_by_host(batch, runs)
        block_runs = {run: found for run in runs if (found := self._place(batch, run, is_alone=len(runs) == 1))}
        if len(block_runs) == len(runs):
            return self._compute_by_decoder(batch, block_runs)
        if not block_runs:
            return self._host.forward(batch)
        return self._compute_by_both(batch, block_runs)

    def prepare_length(self, n_tokens: int) -> None:
        """Announce that a sequence will have this length."""
        self._host.prepare_length(n_tokens)

    def fork(self, source: int, target: int, n_tokens: int) -> None:
        """Copy the first `n_tokens` of `source` into the empty sequence `target`."""
        self._memory.fork(source, target, n_tokens)

    def trim(self, sequence: int, n_tokens: int) -> None:
        """Keep only the first `n_tokens` of a sequence."""
        self._memory.trim(sequence, n_tokens)

    def release(self, sequences: Sequence[int]) -> None:
        """Empty these sequences."""
        self._memory.release(sequences)

    def save(self, sequence: int) -> bytes:
        """Return a sequence's KV as bytes."""
        return self._memory.save(sequence)

    def restore(self, sequence: int, state: bytes) -> None:
        """Load saved KV into an empty sequence. Raises EngineFailed if it cannot; the sequence is then empty."""
        self._memory.restore(sequence, state)

    def load_adapter(self, adapter: str, file: Path) -> None:
        """Load an adapter. Its batches are computed by the host."""
        self._host.load_adapter(adapter, file)

    def unload_adapter(self, adapter: str) -> None:
        """Free an adapter."""
        self._host.unload_adapter(adapter)

    def close(self) -> None:
        """Free everything."""
        self._thread.join()
        self._memory = HybridMemory(self._host)
        self._decoder = self._candidate = None
        self._host.close()

    def _place(self, batch: TokenBatch, run: Run, *, is_alone: bool) -> BlockRun | None:
        """Prepare the decoder or the host for a run; return its blocks, None for the host.

        Raises EngineFailed if neither has room.
        """
        is_decoders = self._is_decoders(run, is_alone=is_alone) and _is_plain(batch, run)
        if is_decoders and (found := self._memory.prepare_blocks(run)):
            return found
        try:
            self._memory.prepare_host(run)
        except EngineFailed as error:  # llama.cpp stores rows only in adjacent cells of a unified cache
            found = self._memory.prepare_blocks(run) if _is_plain(batch, run) else None
            if found is None:
                raise
            logger.info("%d tokens stay where they are: %s", run.start, error.message)
            self._alone = (run.sequence, -_STEPS_UNTIL_RETRY)
            return found
        return None

    def _is_decoders(self, run: Run, *, is_alone: bool) -> bool:
        """Return whether the decoder is to compute a run. Alone, a sequence moves only if that is soon worth it."""
        last, steps = self._alone
        is_step = is_alone and run.n_tokens == 1
        self._alone = (run.sequence, steps + 1 if run.sequence == last else 1) if is_step else (-1, 0)
        if run.n_tokens >= LONG:
            return True
        if not is_alone:
            return TOGETHER in self._short_sizes
        in_host = self._memory.in_host(run.sequence)
        if run.n_tokens > 1:
            return TOGETHER in self._short_sizes and self._memory.in_blocks(run.sequence) >= run.start
        if ALONE in self._short_sizes:
            return True
        return in_host < run.start and self._alone[1] < max(_STEPS_ALONE, (run.start - in_host) // _TOKENS_COPIED)

    def _compute_by_host(self, batch: TokenBatch, runs: Sequence[Run]) -> Logits:
        for run in runs:
            self._memory.prepare_host(run)
        return self._host.forward(batch)

    def _compute_by_decoder(self, batch: TokenBatch, runs: Mapping[Run, BlockRun]) -> Logits:
        """Compute a batch whose blocks are prepared. If that fails, the host computes it, and all that follows."""
        if self._decoder is not None:
            try:
                return self._decoder.compute(batch, list(runs.values()))
            except Exception:
                logger.warning("from now on the kernels compute all tokens", exc_info=True)
                self._decoder = None
        self._memory.undo(list(runs))
        return self._compute_by_host(batch, list(runs))

    def _compute_by_both(self, batch: TokenBatch, block_runs: Mapping[Run, BlockRun]) -> Logits:
        """Compute the decoder's part, then the host's, both prepared; return the rows in the batch's order."""
        is_own: NDArray[np.bool_] = np.zeros(len(batch.tokens), np.bool_)
        for run in block_runs:
            is_own[run.part] = True
        own_rows = is_own[batch.logits_indices]
        rows = np.empty((len(own_rows), self.vocabulary.size), np.float32)
        rows[own_rows] = self._compute_by_decoder(select(batch, is_own), block_runs)
        rows[~own_rows] = self._host.forward(select(batch, ~is_own))
        return rows

    def _check(self, batch: TokenBatch, runs: Sequence[Run], run: Run, candidate: BlockDecoder) -> Logits:
        """Let the host compute a batch, and compare the candidate's results and times for a run of it."""
        self._candidate, self._checks_left = None, self._checks_left - 1
        logits = self._compute_by_host(batch, runs).copy()
        try:
            result = check(self._host, candidate, batch, run)
        except EngineFailed:
            raise
        except Unavailable as error:
            logger.info("%s is not used: %s", candidate.description, error.message)
        except Exception:
            logger.warning("%s failed: the kernels compute all tokens", candidate.description, exc_info=True)
        else:
            self._judge(candidate, result)
        return logits

    def _judge(self, candidate: BlockDecoder, found: CheckResult) -> None:
        name, own_ms, host_ms = candidate.description, 1000 * found.own_s[LONG], 1000 * found.host_s[LONG]
        if not found.is_same:
            logger.warning("%s is not used: its results differ by %.2g from the kernels'", name, found.deviation)
        elif not found.is_faster(LONG) and self._checks_left:
            self._candidate = candidate
        elif not found.is_faster(LONG):
            times = (LONG, own_ms, host_ms)
            logger.info("%s is not used: %d tokens take %.0f ms, %.0f ms with the kernels", name, *times)
        else:
            self._short_sizes = frozenset(size for size in (ALONE, TOGETHER) if found.is_faster(size))
            self._decoder = candidate
            self._memory.use(candidate)
            logger.info("%s computes prompts, %.1f times as fast, and %s", name, host_ms / own_ms, self._steps())

    def _steps(self) -> str:
        if ALONE in self._short_sizes:
            return "all steps"
        return "the steps of several sequences" if TOGETHER in self._short_sizes else "no other steps"


def _is_plain(batch: TokenBatch, run: Run) -> bool:
    """Return whether a run's embeddings, if any, have consecutive positions and attend only to earlier tokens."""
    own = (media for media in batch.media if run.first <= media.first < run.first + run.n_tokens)
    return all(media.is_causal and media.grid is None for media in own)


def _can_check(batch: TokenBatch, run: Run) -> bool:
    """Return whether a run is long, its sequence is short enough to be copied, and it has no embeddings."""
    can_copy = run.start + run.n_tokens <= _MAX_CHECKED
    return run.n_tokens > LONG and can_copy and bool((batch.tokens[run.part] >= 0).all())
