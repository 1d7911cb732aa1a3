"""Tokens that the host or a decoder computes: policy, without a model."""

import logging
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from homeport.domain.errors import Unavailable
from homeport.engines.text.block_decoder import BlockDecoder, RowsHost
from homeport.engines.text.decoder_check import ALONE, TOGETHER
from homeport.engines.text.executor import MediaRun, TokenBatch
from homeport.engines.text.hybrid_executor import HybridExecutor
from tests.engines.text.hybrid_fakes import TokenDecoder, TokenHost, logits_of


def batch(*runs: tuple[int, int, int, bool]) -> TokenBatch:
    """Build a batch of runs: sequence, position of the first token, number of tokens, whether the last has logits."""
    columns: list[tuple[int, int, int]] = []
    wanted = []
    for sequence, start, count, has_logits in runs:
        columns += [(100 * sequence + position % 50, position, sequence) for position in range(start, start + count)]
        if has_logits:
            wanted.append(len(columns) - 1)
    tokens, positions, sequences = np.array(columns, np.int32).T
    return TokenBatch(tokens, positions, sequences, np.array(wanted, np.int32))


def opened(host: TokenHost, decoder: BlockDecoder | Exception) -> HybridExecutor:
    """Return an executor whose decoder is opened."""

    def open_decoder() -> BlockDecoder:
        if isinstance(decoder, Exception):
            raise decoder
        return decoder

    executor = HybridExecutor(cast(RowsHost, host), open_decoder)
    executor.wait_opened()
    return executor


def set_times(monkeypatch: pytest.MonkeyPatch, *host_s: float) -> None:
    """Let the decoder take 1 s for everything, and the host these times for a long run, four tokens and one."""
    spent = [each for size_s in host_s for each in (size_s, size_s, 1.0, 1.0, 1.0)]
    times = iter([time for _ in range(5) for each in spent for time in (0.0, each)])
    monkeypatch.setattr("homeport.engines.text.decoder_check.time.perf_counter", lambda: next(times))


@pytest.fixture
def host() -> TokenHost:
    """A host without sequences."""
    return TokenHost()


@pytest.fixture
def own() -> TokenDecoder:
    """A decoder that computes what the host does."""
    return TokenDecoder()


def checked(host: TokenHost, own: TokenDecoder, monkeypatch: pytest.MonkeyPatch, *host_s: float) -> HybridExecutor:
    """Return an executor whose decoder has passed the check, with the host's times."""
    set_times(monkeypatch, *host_s)
    executor = opened(host, own)
    executor.forward(batch((0, 0, 100, True)))
    executor.release([0])
    assert executor.prompts == "the test's decoder"
    host.computed.clear()
    own.computed.clear()
    return executor


@pytest.fixture
def executor(host: TokenHost, own: TokenDecoder, monkeypatch: pytest.MonkeyPatch) -> HybridExecutor:
    """An executor whose decoder is faster for prompts and several sequences, and slower for one alone."""
    return checked(host, own, monkeypatch, 10.0, 2.0, 0.5)


def test_a_prompt_and_steps_of_several_sequences_are_the_decoders(
    executor: HybridExecutor, host: TokenHost, own: TokenDecoder
) -> None:
    """The decoder computes a whole prompt, also one whose tokens are scored, and the steps of several sequences."""
    rows = executor.forward(batch((1, 0, 200, True)))
    assert rows[0].tolist() == logits_of([100 + position % 50 for position in range(200)])
    scored = batch((2, 0, 100, True))
    rows = executor.forward(TokenBatch(*scored_columns(scored), np.arange(100, dtype=np.int32)))
    assert rows[:, 0].tolist() == list(range(1, 101))
    executor.forward(batch((1, 200, 1, True), (2, 100, 1, True)))
    assert (own.computed, host.computed) == ([200, 100, 2], [])


def scored_columns(scored: TokenBatch) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return a batch's tokens, positions and sequences."""
    return scored.tokens, scored.positions, scored.sequences


def test_a_sequence_that_stays_alone_moves_to_the_host(
    executor: HybridExecutor, host: TokenHost, own: TokenDecoder
) -> None:
    """Its first step alone is the decoder's; from the second on, the host computes it, until it has company."""
    executor.forward(batch((1, 0, 200, True)))
    for step in range(6):
        assert executor.forward(batch((1, 200 + step, 1, True)))[0, 0] == 201 + step
    assert (own.computed, host.computed) == ([200, 1], [1, 1, 1, 1, 1])
    rows = executor.forward(batch((1, 206, 1, True), (2, 0, 40, True)))
    assert rows[:, 0].tolist() == [207, 40]
    assert own.computed[-1] == 41


def test_a_long_sequence_moves_later(executor: HybridExecutor, host: TokenHost, own: TokenDecoder) -> None:
    """A sequence of 6,400 tokens is alone for 50 steps before it is copied."""
    executor.forward(batch((1, 0, 6400, True)))
    for step in range(52):
        executor.forward(batch((1, 6400 + step, 1, True)))
    assert len(own.computed) == 1 + 49
    assert len(host.computed) == 3


def test_drafts_of_a_sequence_alone_are_computed_where_it_is(
    executor: HybridExecutor, host: TokenHost, own: TokenDecoder
) -> None:
    """A step of some tokens moves no sequence."""
    executor.forward(batch((1, 0, 100, True)))
    executor.forward(batch((1, 100, 3, True)))
    assert (own.computed, host.computed) == ([100, 3], [])
    for step in range(5):
        executor.forward(batch((1, 103 + step, 1, True)))
    executor.forward(batch((1, 108, 3, True)))
    assert host.computed == [1, 1, 1, 1, 3]


def test_adapters_are_the_hosts_work(executor: HybridExecutor, host: TokenHost, own: TokenDecoder) -> None:
    """Batches with an adapter are computed by the host, whatever their length."""
    adapted = batch((3, 0, 100, True))
    executor.forward(TokenBatch(*scored_columns(adapted), adapted.logits_indices, "x"))
    assert (own.computed, host.computed) == ([], [100])


@pytest.mark.parametrize(
    ("is_causal", "grid", "computed"),
    [(True, None, [100]), (False, None, []), (True, np.zeros((60, 4), np.int32), [])],
    ids=["in order", "not causal", "in a grid"],
)
def test_images_out_of_order_are_the_hosts_work(
    executor: HybridExecutor,
    host: TokenHost,
    own: TokenDecoder,
    is_causal: bool,
    grid: NDArray[np.int32] | None,
    computed: list[int],
) -> None:
    """Embeddings in order are the decoder's; those that attend to later ones, or have positions of a grid, are not."""
    media = MediaRun(20, np.zeros((60, 1), np.float32), 0, 60, True, is_causal, grid)
    prompt = batch((1, 0, 100, True))
    executor.forward(TokenBatch(*scored_columns(prompt), prompt.logits_indices, "", (media,)))
    assert own.computed == computed
    assert len(host.computed) == 1 - len(computed)


def test_a_decoder_may_compute_long_runs_alone(
    host: TokenHost, own: TokenDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is slower for short steps computes the prompt of a batch, and the host its streams."""
    executor = checked(host, own, monkeypatch, 10.0, 0.5, 0.5)
    executor.forward(batch((1, 0, 20, True)))
    rows = executor.forward(batch((1, 20, 1, True), (2, 0, 100, True)))
    assert rows[:, 0].tolist() == [21, 100]
    assert (own.computed, host.computed) == ([100], [20, 1])
    assert executor.forward(batch((1, 21, 1, True), (2, 100, 1, True)))[:, 0].tolist() == [22, 101]
    assert host.computed == [20, 1, 2]


def test_a_decoder_may_compute_everything(host: TokenHost, own: TokenDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is clearly faster for a sequence alone, too, keeps it."""
    executor = checked(host, own, monkeypatch, 10.0, 2.0, 1.3)
    executor.forward(batch((1, 0, 100, True)))
    for step in range(6):
        executor.forward(batch((1, 100 + step, 1, True)))
    assert host.computed == []


def test_a_fork_in_blocks_is_shared(executor: HybridExecutor, host: TokenHost) -> None:
    """What blocks hold of a sequence is not copied; what only the host holds is."""
    executor.forward(batch((1, 0, 100, True)))
    executor.fork(1, 2, 60)
    assert 2 not in host.tokens
    for step in range(6):
        executor.forward(batch((1, 100 + step, 1, True)))
    executor.fork(1, 3, 106)
    assert len(host.tokens[3]) == 106
    assert executor.forward(batch((2, 60, 40, True), (3, 106, 40, True)))[:, 0].tolist() == [100, 146]


@pytest.mark.parametrize("ends", ["trim", "release"])
def test_a_sequence_that_is_dropped_leaves_nothing(executor: HybridExecutor, host: TokenHost, ends: str) -> None:
    """A prompt that is cancelled between its parts leaves nothing behind, and its sequence can be used again."""
    executor.forward(batch((1, 0, 100, False)))
    if ends == "trim":
        executor.trim(1, 0)
    else:
        executor.release([1])
    assert not host.tokens.get(1)
    assert executor.forward(batch((1, 0, 50, True)))[0, 0] == 50


def test_a_sequence_without_room_in_the_host_stays_in_blocks(
    executor: HybridExecutor, host: TokenHost, own: TokenDecoder
) -> None:
    """A sequence alone whose rows find no adjacent cells is computed on where it is."""
    executor.forward(batch((1, 0, 100, True)))
    host.has_room = False
    for step in range(6):
        assert executor.forward(batch((1, 100 + step, 1, True)))[0, 0] == 101 + step
    assert (len(own.computed), host.computed) == (7, [])


def test_a_full_pool_of_blocks_is_the_hosts_work(executor: HybridExecutor, host: TokenHost, own: TokenDecoder) -> None:
    """A prompt that finds no blocks is computed by the host."""
    executor.forward(batch((1, 0, 512 * 32 - 10, True)))
    assert executor.forward(batch((2, 0, 100, True)))[0, 0] == 100
    assert host.computed == [100]


def test_a_sequence_that_cannot_be_read_is_the_hosts_work(
    executor: HybridExecutor, host: TokenHost, own: TokenDecoder
) -> None:
    """Tokens of which the host's KV cannot be read are computed by the host."""
    adapted = batch((1, 0, 20, True))
    executor.forward(TokenBatch(*scored_columns(adapted), adapted.logits_indices, "x"))
    host.is_readable = False
    assert executor.forward(batch((1, 20, 40, True)))[0, 0] == 60
    assert (own.computed, host.computed) == ([], [20, 40])


def test_a_decoder_that_fails_is_given_up(
    executor: HybridExecutor, host: TokenHost, own: TokenDecoder, caplog: pytest.LogCaptureFixture
) -> None:
    """If it fails in the middle of a prompt, the host computes the rest, and all later prompts."""
    executor.forward(batch((1, 0, 100, False)))
    own.fails = True
    assert executor.forward(batch((1, 100, 100, True)))[0, 0] == 200
    assert executor.prompts == ""
    assert "from now on the kernels compute all tokens" in caplog.text
    own.fails = False
    assert executor.forward(batch((2, 0, 100, True)))[0, 0] == 100
    assert own.computed == [100]


def test_a_decoder_that_computes_something_else_is_not_used(
    host: TokenHost, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first prompt's answer is the host's, and keys that differ from it are logged."""
    set_times(monkeypatch, 10.0, 2.0, 0.5)
    executor = opened(host, TokenDecoder(error=90.0))
    assert executor.forward(batch((1, 0, 100, True)))[0, 0] == 100
    assert executor.prompts == ""
    assert "its results differ by" in caplog.text


def test_a_slower_decoder_is_not_used(
    host: TokenHost, own: TokenDecoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A decoder that takes longer than the host for three prompts is not used; it is not asked about the fourth."""
    caplog.set_level(logging.INFO, "homeport.text")
    set_times(monkeypatch, 0.5, 2.0, 2.0)
    executor = opened(host, own)
    for sequence in range(4):
        assert "not used" not in caplog.text or sequence == 3
        executor.forward(batch((sequence, 0, 100, True)))
    assert executor.prompts == ""
    assert own.computed.count(100) == 3
    assert "32 tokens take 1000 ms, 500 ms with the kernels" in caplog.text


def test_a_host_that_cannot_be_read_needs_no_decoder(
    host: TokenHost, own: TokenDecoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the host's KV have an unknown format, the host computes everything, and the reason is logged."""
    caplog.set_level(logging.INFO, "homeport.text")
    set_times(monkeypatch, 10.0, 2.0, 0.5)
    host.is_readable = False
    executor = opened(host, own)
    assert executor.forward(batch((1, 0, 100, True)))[0, 0] == 100
    assert executor.prompts == ""
    assert "the test's decoder is not used: unknown format" in caplog.text


def test_a_prompt_with_a_known_prefix_is_enough_for_the_check(
    host: TokenHost, own: TokenDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check needs a long run, not a sequence's first one: most prompts begin like one before."""
    set_times(monkeypatch, 10.0, 2.0, 0.5)
    executor = opened(host, own)
    executor.forward(batch((0, 0, 20, True)))
    assert executor.forward(batch((0, 20, 60, True)))[0, 0] == 80
    assert executor.prompts == "the test's decoder"
    assert len(host.tokens[0]) == 80


def test_a_decoder_that_does_not_open_is_no_error(host: TokenHost, caplog: pytest.LogCaptureFixture) -> None:
    """Without a decoder the host computes everything, and the reason is logged."""
    caplog.set_level(logging.INFO, "homeport.text")
    executor = opened(host, Unavailable("The architecture `other` is none of these."))
    assert executor.forward(batch((1, 0, 100, True)))[0, 0] == 100
    assert "The architecture `other` is none of these." in caplog.text
    executor.close()
    assert host.is_closed


def test_what_is_saved_is_restored(executor: HybridExecutor, host: TokenHost) -> None:
    """A saved sequence is restored into blocks, and continues there, whoever computed it."""
    executor.forward(batch((1, 0, 100, True)))
    state = executor.save(1)
    assert list(state) == [100 + position % 50 for position in range(100)]
    executor.release([1])
    executor.restore(2, state)
    assert 2 not in host.tokens
    assert executor.forward(batch((2, 100, 40, True)))[0, 0] == 140


def test_a_sequence_is_restored_by_the_host_while_there_is_no_decoder(host: TokenHost, own: TokenDecoder) -> None:
    """Before the check, a saved sequence is the host's, and its length is known."""
    executor = opened(host, own)
    executor.restore(2, bytes(range(50)))
    assert len(host.tokens[2]) == 50
    executor.trim(2, 30)
    assert len(host.tokens[2]) == 30


Step = tuple[str, int, int]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["run", "end", "step", "both", "trim", "fork", "release", "save"]),
            st.integers(0, 2),
            st.integers(1, 150),
        ),
        max_size=30,
    ),
    st.sampled_from([frozenset(), frozenset({TOGETHER}), frozenset({ALONE, TOGETHER})]),
)
def test_results_do_not_depend_on_who_computes(steps: list[Step], short_sizes: frozenset[int]) -> None:
    """Whatever is computed, cut, copied and released in whatever order, the logits are those of the host alone."""
    host, alone = TokenHost(), TokenHost()
    executor = opened(host, TokenDecoder())
    executor._decoder, executor._candidate = executor._candidate, None  # checked
    assert executor._decoder is not None
    executor._memory.use(executor._decoder)
    executor._short_sizes = short_sizes
    both: tuple[Any, ...] = (executor, alone)
    for kind, sequence, count in steps:
        length, target = len(alone.tokens.get(sequence, [])), (sequence + 1) % 3
        if kind in ("run", "end", "step", "both"):
            runs = [(sequence, length, 1 if kind in ("step", "both") else count, kind != "run")]
            if kind == "both":
                runs.append((target, len(alone.tokens.get(target, [])), count, True))
            for _ in range(5 if kind == "step" else 1):
                results = [each.forward(batch(*sorted(runs))) for each in both]
                assert np.array_equal(*results)
                runs = [(at, start + size, size, ends) for at, start, size, ends in runs]
        elif kind == "trim":
            for each in both:
                each.trim(sequence, min(count, length))
        elif kind == "release":
            for each in both:
                each.release([sequence])
        elif kind == "save" and length:
            state = executor.save(sequence)
            assert state == alone.save(sequence)
            executor.release([sequence])
            executor.restore(sequence, state)
            alone.tokens[sequence] = list(state)
        elif length:
            for each in both:
                each.release([target])
                each.fork(sequence, target, min(count, length))
    for sequence in range(3):
        assert executor.save(sequence) == alone.save(sequence)
