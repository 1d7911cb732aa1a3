"""Sequences in KV streams and in the unified cache, on real weights: the logits are the same in both."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from homeport.domain.errors import EngineFailed
from homeport.engines.text.executor import TokenBatch
from homeport.engines.text.executors.llama import kv_sizing
from homeport.engines.text.executors.llama.context import LlamaContext
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.engines.text.executors.llama.kv_sizing import Kv
from homeport.engines.text.executors.llama.kv_streams import KVStreams
from homeport.engines.text.kv_rows import KVRows

NEAR = 0.5  # mean distance of logits that differ by rounding alone; those of other prefixes are several apart
LANE = 256
Open = Callable[..., LlamaExecutor]
Build = Callable[..., TokenBatch]


@pytest.fixture
def ids() -> list[int]:
    """More tokens than a stream holds."""
    return [int(token) for token in np.random.default_rng(7).integers(1000, 40000, LANE + 40)]


@pytest.fixture
def streams(library: Path | None, smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LlamaExecutor]:
    """Four streams of 256 cells, shorter than any server's, and a unified cache of 512."""
    monkeypatch.setattr(kv_sizing, "_MIN_STREAM_TOKENS", LANE)
    cells = 512 + 4 * LANE
    executor = load(smollm2, LlamaOptions(512, cells, sequences=4, batch=256, threads=1, library=library))
    assert not executor.traits.shares_cells
    assert (executor.traits.window, executor.traits.cells) == (512, 512)
    yield executor
    executor.close()


def compute(executor: LlamaExecutor, batch: Build, ids: list[int], sequence: int, start: int = 0) -> np.ndarray:
    """Return the last token's row (V), computed in batches of 256."""
    row = np.empty(0)
    for at in range(start, len(ids), 256):
        row = executor.forward(batch(ids[at : at + 256], sequence=sequence, start=at, last=True))[0].copy()
    return row


def distance(left: np.ndarray, right: np.ndarray) -> float:
    """Return the mean distance of two rows."""
    return float(np.abs(left - right).mean())


def test_a_sequence_that_outgrows_its_stream_continues(
    streams: LlamaExecutor, smol: Open, batch: Build, ids: list[int]
) -> None:
    """The logits of a sequence that moved to the unified cache agree with those of one that never moved."""
    moved = compute(streams, batch, ids, 1)
    stayed = compute(smol(cells=512, sequences=1), batch, ids, 0)
    assert distance(moved, stayed) < NEAR
    streams.release([1])
    other = compute(streams, batch, [*ids[-2::-1], ids[-1]], 2)
    assert distance(other, stayed) > NEAR


def test_rows_of_both_contexts_are_in_the_batchs_order(streams: LlamaExecutor, batch: Build, ids: list[int]) -> None:
    """A step with sequences in streams and in the unified cache returns the rows in the batch's order."""
    compute(streams, batch, ids[:-1], 1)
    short = [compute(streams, batch, ids[first : first + 20], sequence) for sequence, first in ((0, 0), (2, 100))]
    for sequence in (0, 2):
        streams.trim(sequence, 19)
    tokens = [ids[19], ids[-1], ids[119]]
    positions = [19, len(ids) - 1, 19]
    each = np.arange(3, dtype=np.int32)
    rows = streams.forward(TokenBatch(np.array(tokens, np.int32), np.array(positions, np.int32), each, each))
    assert rows.shape == (3, streams.vocabulary.size)
    assert distance(rows[0], short[0]) < NEAR
    assert distance(rows[2], short[1]) < NEAR
    streams.trim(1, len(ids) - 1)
    assert distance(rows[1], compute(streams, batch, ids, 1, start=len(ids) - 1)) < NEAR


@pytest.mark.parametrize("length", [100, 240])
def test_forks_of_a_long_sequence_agree(streams: LlamaExecutor, batch: Build, ids: list[int], length: int) -> None:
    """A short or long prefix of a sequence in the unified cache can be forked."""
    compute(streams, batch, ids, 0)
    streams.fork(0, 3, length)
    forked = compute(streams, batch, ids[: length + 9], 3, start=length)
    assert distance(forked, compute(streams, batch, ids[: length + 9], 2)) < NEAR


def test_released_sequences_free_their_cells(streams: LlamaExecutor, batch: Build, ids: list[int]) -> None:
    """The cells of released long sequences are free: more of them are computed than fit at once."""
    for sequence in (0, 1, 0):
        compute(streams, batch, ids, sequence)
        streams.release([sequence])
    assert compute(streams, batch, ids[:30], 0).shape == (streams.vocabulary.size,)


@pytest.mark.parametrize("target", ["unified", "streams"])
def test_saved_sequences_move_between_layouts(
    streams: LlamaExecutor, smol: Open, batch: Build, ids: list[int], target: Kv
) -> None:
    """A sequence saved by one executor is restored by another of the same model, whatever their KV layouts."""
    compute(streams, batch, ids[:60], 2)
    other = smol(kv=target)
    other.restore(3, streams.save(2))
    assert distance(compute(other, batch, ids[:70], 3, start=60), compute(streams, batch, ids[:70], 2, start=60)) < NEAR
    streams.restore(1, other.save(3))
    assert (
        distance(compute(streams, batch, ids[:80], 1, start=70), compute(streams, batch, ids[:80], 2, start=70)) < NEAR
    )


@pytest.mark.parametrize("state", [b"", b"nonsense", bytes(400), b"\x01\x00\x00\x00" + bytes(range(1, 200))])
def test_invalid_saved_sequences_are_refused(smol: Open, batch: Build, ids: list[int], state: bytes) -> None:
    """Bytes that are not a saved sequence are an error and leave the sequence empty."""
    for executor in (smol(), smol(kv="streams")):
        with pytest.raises(EngineFailed):
            executor.restore(1, state)
        assert compute(executor, batch, ids[:10], 1).shape == (executor.vocabulary.size,)


def test_forks_can_be_moved_at_once(streams: LlamaExecutor, batch: Build, ids: list[int]) -> None:
    """A fork is complete before the next step: it may be saved, and its source overwritten."""
    compute(streams, batch, ids[:80], 0)
    expected = compute(streams, batch, ids[:81], 0, start=80)
    streams.fork(0, 1, 80)
    streams.restore(2, streams.save(1))
    streams.release([0])
    compute(streams, batch, ids[200:300], 0)
    for sequence in (1, 2):
        assert distance(compute(streams, batch, ids[:81], sequence, start=80), expected) < NEAR


@pytest.fixture
def short() -> Mock:
    """A context with streams of 512 tokens each."""
    return Mock(window=LANE)


def test_the_long_context_is_opened_in_the_background(short: Mock) -> None:
    """It is opened in another thread, once, for a sequence that will outgrow its stream, and not for a short one."""
    began, go_on, long_context = threading.Event(), threading.Event(), Mock()
    openers: list[str] = []

    def open_pool() -> LlamaContext:
        openers.append(threading.current_thread().name)
        began.set()
        assert go_on.wait(10)
        return long_context

    streams = KVStreams(short, open_pool)
    streams.prepare_length(LANE)
    assert not openers
    streams.prepare_length(LANE + 1)
    streams.prepare_length(LANE + 2)
    assert began.wait(10)
    go_on.set()
    assert streams.long_context is long_context
    assert len(openers) == 1
    assert openers != [threading.current_thread().name]


def test_opening_the_long_context_is_tried_again(short: Mock) -> None:
    """If opening it ahead failed for lack of memory, the next use fails, and the one after tries again."""
    long_context = Mock()
    open_pool = Mock(side_effect=[EngineFailed("no room"), long_context])
    streams = KVStreams(short, open_pool)
    streams.prepare_length(LANE + 1)
    with pytest.raises(EngineFailed):
        _ = streams.long_context
    assert streams.long_context is long_context


def test_closing_frees_a_long_context_that_is_being_opened(short: Mock) -> None:
    """Closing waits for a unified cache that is being opened, and frees it."""
    long_context = Mock()
    streams = KVStreams(short, lambda: long_context)
    streams.prepare_length(LANE + 1)
    streams.close()
    long_context.close.assert_called_once_with()


@pytest.mark.parametrize("kv", ["unified", "streams"])
@pytest.mark.parametrize("start", [0, 50], ids=["from the start", "after a prefix"])
def test_rows_that_are_appended_continue_a_sequence(
    smol: Open, batch: Build, ids: list[int], kv: Kv, start: int
) -> None:
    """Rows read from one sequence and appended to another, empty or with a prefix, give the same logits there."""
    executor = smol(kv=kv)
    expected = compute(executor, batch, ids[:121], 0)
    executor.trim(0, 120)
    rows = executor.read_rows(0)
    if start:
        executor.fork(0, 1, start)
    executor.append_rows(1, rows, start)
    assert distance(compute(executor, batch, ids[:121], 1, start=120), expected) < NEAR


def test_rows_that_outgrow_a_stream_move_its_sequence(
    streams: LlamaExecutor, smol: Open, batch: Build, ids: list[int]
) -> None:
    """A sequence whose rows do not fit its stream is continued in the unified cache, from its start or a prefix."""
    alone = smol()
    expected = compute(alone, batch, ids, 0)
    alone.trim(0, len(ids) - 1)
    whole = alone.read_rows(0)
    streams.forward(batch(ids[:40], sequence=0, last=True))
    streams.read_rows(0)
    for sequence, start in ((1, 0), (2, 40)):
        if start:
            streams.fork(0, sequence, start)
        streams.append_rows(sequence, whole, start)
        row = compute(streams, batch, ids, sequence, start=len(ids) - 1)
        assert distance(row, expected) < NEAR
        streams.release([sequence])


def test_rows_of_an_unknown_format_are_not_appended(streams: LlamaExecutor) -> None:
    """Before a sequence was read, the format of a build is not known."""
    with pytest.raises(EngineFailed, match="none was read"):
        streams.append_rows(0, KVRows(1, 1), 0)
    with pytest.raises(EngineFailed, match="none was read"):
        streams.pack_rows(KVRows(1, 1))


def test_rows_are_what_is_saved(streams: LlamaExecutor, ids: list[int], batch: Build) -> None:
    """A saved sequence is its rows and these are the saved sequence, also of an executor that has read none."""
    streams.forward(batch(ids[:40], sequence=0, last=True))
    state = streams.save(0)
    rows = streams.unpack_rows(state)
    assert np.array_equal(rows.keys, streams.read_rows(0).keys)
    assert streams.pack_rows(rows) == state
