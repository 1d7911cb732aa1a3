"""Whether a decoder computes what the host computes, and what it is faster for. Measured with one prompt.

Knows nothing of requests, and of how either computes.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.text.block_decoder import BlockDecoder, BlockRun, RowsHost
from homeport.engines.text.executor import Logits, TokenBatch
from homeport.engines.text.kv_rows import KVRows
from homeport.engines.text.token_batches import Run, select

ALONE, TOGETHER, LONG = 1, 4, 32
"""Tokens of the steps that are timed: of a sequence alone, of several, and of the shortest run that counts as long."""

_MAX_DEVIATION = 0.3  # relative error of keys, values and logits: rounding differs by 0.01 to 0.1, other weights by 1
_MARGIN_ALONE = 0.8  # other programs slow the host's step of one sequence more, and may end soon
_HOST_REPEATS, _OWN_REPEATS = 2, 3  # of a measurement: the decoder's first one prepares kernels


class CheckResult(NamedTuple):
    """What a check found. `host_s`, `own_s`: seconds by the number of tokens of a step."""

    deviation: float
    host_s: dict[int, float]
    own_s: dict[int, float]

    @property
    def is_same(self) -> bool:
        """Whether both compute the same but for rounding."""
        return self.deviation <= _MAX_DEVIATION

    def is_faster(self, n_tokens: int) -> bool:
        """Return whether the decoder is faster for a step of this many tokens, which was timed."""
        margin = _MARGIN_ALONE if n_tokens == ALONE else 1.0
        return self.own_s[n_tokens] < margin * self.host_s[n_tokens]


def check(host: RowsHost, decoder: BlockDecoder, batch: TokenBatch, run: Run) -> CheckResult:
    """Compare host and decoder by a run of more than `LONG` tokens, which the host has just computed.

    The host computes the run's last tokens again. The decoder's blocks must hold nothing yet. Raises Unavailable if the
    host's KV cannot be read, EngineFailed if the host fails, and whatever the decoder raises.
    """
    tokens = select(batch, batch.sequences == run.sequence)
    end = run.start + run.n_tokens
    blocks = range(-(-end // decoder.block_tokens))

    def own(count: int) -> Logits:
        return decoder.compute(_last(tokens, count), [BlockRun(end - count, count, blocks)])

    def hosts(count: int) -> Logits:
        host.trim(run.sequence, end - count)
        return host.forward(_last(tokens, count))

    try:
        expected = host.read_rows(run.sequence)
    except EngineFailed as error:
        raise Unavailable(error.message) from error
    decoder.write(blocks, KVRows.of(expected.keys[:, : run.start], expected.values[:, : run.start]), 0)
    own(run.n_tokens)
    rows, wanted = decoder.read(blocks, end).since(run.start), expected.since(run.start)
    deviation = max(_deviation(rows.keys, wanted.keys), _deviation(rows.values, wanted.values))
    host_s, own_s = {}, {}
    for size in (LONG, TOGETHER, ALONE):
        logits, host_s[size] = _timed(hosts, size, _HOST_REPEATS)
        own_logits, own_s[size] = _timed(own, size, _OWN_REPEATS)
        deviation = max(deviation, _deviation(_centred(own_logits), _centred(logits)))
    return CheckResult(deviation, host_s, own_s)


def _last(batch: TokenBatch, count: int) -> TokenBatch:
    """Return the last tokens of a batch, with logits of the last of them, or of all if they are few."""
    n_rows = count if count <= TOGETHER else 1
    columns = batch.tokens[-count:], batch.positions[-count:], batch.sequences[-count:]
    return TokenBatch(*columns, np.arange(count - n_rows, count, dtype=np.int32))


def _timed(compute: Callable[[int], Logits], n_tokens: int, repeats: int) -> tuple[Logits, float]:
    """Return what was computed, and the shortest time of several."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        logits = compute(n_tokens)
        seconds.append(time.perf_counter() - began)
    return logits.copy(), min(seconds)


def _centred(logits: Logits) -> NDArray[np.float32]:
    """Return logits without what they have in common, which changes no probability."""
    centred: NDArray[np.float32] = logits - logits.mean(axis=-1, keepdims=True)
    return centred


def _deviation(values: NDArray[np.float16] | NDArray[np.float32], expected: NDArray[np.float16] | Logits) -> float:
    """Return the relative error of an array (root mean square); infinite if it is not a number."""
    difference = values.astype(np.float32) - expected.astype(np.float32)
    scale = float(np.linalg.norm(expected.astype(np.float32)))
    error = float(np.linalg.norm(difference)) / max(scale, 1e-9)
    return error if np.isfinite(error) else float("inf")
