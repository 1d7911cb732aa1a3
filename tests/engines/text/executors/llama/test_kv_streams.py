"""Sequences in lanes and in the pool, on real weights: wherever their KV lies, the logits are the same."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from homeport.domain.errors import EngineFailed
from homeport.engines.text.executor import TokenBatch
from homeport.engines.text.executors.llama.context import LlamaContext
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.engines.text.executors.llama.kv_sizing import Kv
from homeport.engines.text.executors.llama.kv_streams import KVStreams

NEAR = 0.5  # mean distance of logits that differ by rounding alone; those of other prefixes are several apart
LANE = 512
Open = Callable[..., LlamaExecutor]
Build = Callable[..., TokenBatch]


@pytest.fixture
def ids() -> list[int]:
    """More tokens than a lane holds."""
    return [int(token) for token in np.random.default_rng(7).integers(1000, 40000, LANE + 40)]


@pytest.fixture
def lanes(library: Path | None, smollm2: Path) -> Iterator[LlamaExecutor]:
    """Four lanes of 512 cells, and a pool of 1,024."""
    cells = 1024 + 4 * LANE
    executor = load(smollm2, LlamaOptions(1024, cells, sequences=4, batch=256, threads=1, library=library))
    assert not executor.traits.shares_cells
    assert (executor.traits.window, executor.traits.cells) == (1024, 1024)
    yield executor
    executor.close()


def compute(executor: LlamaExecutor, batch: Build, ids: list[int], sequence: int, start: int = 0) -> np.ndarray:
    """The last token's row (V), computed in batches of 256."""
    row = np.empty(0)
    for at in range(start, len(ids), 256):
        row = executor.forward(batch(ids[at : at + 256], sequence=sequence, start=at, last=True))[0].copy()
    return row


def apart(left: np.ndarray, right: np.ndarray) -> float:
    """Mean distance of two rows."""
    return float(np.abs(left - right).mean())


def test_sequence_that_outgrows_its_lane_goes_on(
    lanes: LlamaExecutor, smol: Open, batch: Build, ids: list[int]
) -> None:
    """Logits behind a sequence that moved to the pool agree with those of one that never moved."""
    moved = compute(lanes, batch, ids, 1)
    stayed = compute(smol(cells=2048, sequences=1, window=1024), batch, ids, 0)
    assert apart(moved, stayed) < NEAR
    lanes.release([1])
    other = compute(lanes, batch, ids[1:], 2)
    assert apart(other, stayed) > NEAR


def test_rows_of_both_places_come_in_the_batchs_order(lanes: LlamaExecutor, batch: Build, ids: list[int]) -> None:
    """A step with sequences in lanes and in the pool returns each one's row where it was asked for."""
    compute(lanes, batch, ids[:-1], 1)
    short = [compute(lanes, batch, ids[first : first + 20], sequence) for sequence, first in ((0, 0), (2, 100))]
    for sequence in (0, 2):
        lanes.trim(sequence, 19)
    tokens = [ids[19], ids[-1], ids[119]]
    positions = [19, len(ids) - 1, 19]
    each = np.arange(3, dtype=np.int32)
    rows = lanes.forward(TokenBatch(np.array(tokens, np.int32), np.array(positions, np.int32), each, each))
    assert rows.shape == (3, lanes.vocabulary.size)
    assert apart(rows[0], short[0]) < NEAR
    assert apart(rows[2], short[1]) < NEAR
    lanes.trim(1, len(ids) - 1)
    assert apart(rows[1], compute(lanes, batch, ids, 1, start=len(ids) - 1)) < NEAR


@pytest.mark.parametrize("length", [100, 500])
def test_forks_of_a_pooled_sequence_agree(lanes: LlamaExecutor, batch: Build, ids: list[int], length: int) -> None:
    """A short or long beginning of a sequence in the pool serves another sequence."""
    compute(lanes, batch, ids, 0)
    lanes.fork(0, 3, length)
    forked = compute(lanes, batch, ids[: length + 9], 3, start=length)
    assert apart(forked, compute(lanes, batch, ids[: length + 9], 2)) < NEAR


def test_released_sequences_leave_the_pool(lanes: LlamaExecutor, batch: Build, ids: list[int]) -> None:
    """What long sequences held is free again after each: more of them than the pool could hold at once."""
    for sequence in (0, 1, 0):
        compute(lanes, batch, ids, sequence)
        lanes.release([sequence])
    assert compute(lanes, batch, ids[:30], 0).shape == (lanes.vocabulary.size,)


@pytest.mark.parametrize("target", ["unified", "streams"])
def test_saved_sequences_move_between_layouts(
    lanes: LlamaExecutor, smol: Open, batch: Build, ids: list[int], target: Kv
) -> None:
    """What one executor saved, another of the same model goes on from, however either lays out its cache."""
    compute(lanes, batch, ids[:60], 2)
    other = smol(kv=target)
    other.restore(3, lanes.save(2))
    assert apart(compute(other, batch, ids[:70], 3, start=60), compute(lanes, batch, ids[:70], 2, start=60)) < NEAR
    lanes.restore(1, other.save(3))
    assert apart(compute(lanes, batch, ids[:80], 1, start=70), compute(lanes, batch, ids[:80], 2, start=70)) < NEAR


@pytest.mark.parametrize("state", [b"", b"nonsense", bytes(400), b"\x01\x00\x00\x00" + bytes(range(1, 200))])
def test_what_was_never_saved_is_refused(smol: Open, batch: Build, ids: list[int], state: bytes) -> None:
    """Bytes that are no saved sequence are an error and leave the sequence empty."""
    for executor in (smol(), smol(kv="streams")):
        with pytest.raises(EngineFailed):
            executor.restore(1, state)
        assert compute(executor, batch, ids[:10], 1).shape == (executor.vocabulary.size,)


def test_forks_can_be_moved_at_once(lanes: LlamaExecutor, batch: Build, ids: list[int]) -> None:
    """A fork is whole before the next step: it may be saved, and its source be overwritten."""
    compute(lanes, batch, ids[:80], 0)
    expected = compute(lanes, batch, ids[:81], 0, start=80)
    lanes.fork(0, 1, 80)
    lanes.restore(2, lanes.save(1))
    lanes.release([0])
    compute(lanes, batch, ids[200:300], 0)
    for sequence in (1, 2):
        assert apart(compute(lanes, batch, ids[:81], sequence, start=80), expected) < NEAR


@pytest.fixture
def lane() -> Mock:
    """A context of lanes that hold 512 tokens each."""
    return Mock(window=LANE)


def test_pool_is_opened_beside_the_work_once_a_long_sequence_is_expected(lane: Mock) -> None:
    """A sequence that will outgrow its lane has the pool opened on another thread, once, and a short one does not."""
    began, go_on, pool = threading.Event(), threading.Event(), Mock()
    openers: list[str] = []

    def open_pool() -> LlamaContext:
        openers.append(threading.current_thread().name)
        began.set()
        assert go_on.wait(10)
        return pool

    lanes = KVStreams(lane, open_pool)
    lanes.prepare_length(LANE)
    assert not openers
    lanes.prepare_length(LANE + 1)
    lanes.prepare_length(LANE + 2)
    assert began.wait(10)
    go_on.set()
    assert lanes.long_context is pool
    assert len(openers) == 1
    assert openers != [threading.current_thread().name]


def test_pool_that_did_not_open_ahead_is_tried_again_when_needed(lane: Mock) -> None:
    """Where memory was short when the pool was opened ahead, who needs it is told, and the next one tries anew."""
    pool = Mock()
    open_pool = Mock(side_effect=[EngineFailed("no room"), pool])
    lanes = KVStreams(lane, open_pool)
    lanes.prepare_length(LANE + 1)
    with pytest.raises(EngineFailed):
        _ = lanes.long_context
    assert lanes.long_context is pool


def test_pool_opened_ahead_is_closed_though_nobody_needed_it(lane: Mock) -> None:
    """Closing waits for a pool that is being opened, and frees it."""
    pool = Mock()
    lanes = KVStreams(lane, lambda: pool)
    lanes.prepare_length(LANE + 1)
    lanes.close()
    pool.close.assert_called_once_with()
