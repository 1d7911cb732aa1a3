"""Prompts that another than the decoding executor computes: policy, without a model."""

import logging
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.text.executor import ExecutorTraits, TokenBatch, Vocabulary
from homeport.engines.text.kv_rows import KVRows
from homeport.engines.text.prefill import MIN_TOKENS, Prefill, PrefillExecutor, PrefillHost


class TokenHost:
    """A host whose keys are the tokens themselves. `computed`: the tokens of each of its batches."""

    def __init__(self) -> None:
        self.tokens: dict[int, list[int]] = {}
        self.computed: list[int] = []
        self.is_closed = False
        self.has_room = True

    @property
    def traits(self) -> ExecutorTraits:
        """Those of a small executor."""
        return ExecutorTraits(8192, 8192, 8, 512, shares_cells=True, can_trim=True)

    @property
    def vocabulary(self) -> Vocabulary:
        """Three tokens."""
        return Vocabulary(3, (b"a", b"b", b"c"), frozenset(), None, 0, None, {})

    def new_rows(self) -> KVRows:
        return KVRows(1, 1)

    def read_rows(self, sequence: int) -> KVRows:
        rows = self.new_rows()
        tokens = self.tokens.get(sequence, [])
        keys, values = rows.extend(len(tokens))
        keys[0, :, 0] = values[0, :, 0] = tokens
        return rows

    def append_rows(self, sequence: int, rows: KVRows, start: int) -> None:
        if not self.has_room:
            raise EngineFailed("no adjacent cells")
        own = self.tokens.setdefault(sequence, [])
        tokens = rows.keys[0, :, 0].astype(int).tolist()
        assert (rows.start, tokens[:start]) == (0, own)
        own.extend(tokens[start:])

    def forward(self, batch: TokenBatch) -> NDArray[np.float32]:
        """Return rows (length, sum, last token) of the sequences so far."""
        self.computed.append(len(batch.tokens))
        rows = []
        for index, (token, position, sequence) in enumerate(
            zip(batch.tokens.tolist(), batch.positions.tolist(), batch.sequences.tolist(), strict=True)
        ):
            tokens = self.tokens.setdefault(sequence, [])
            assert position == len(tokens), "a token before this one is missing"
            tokens.append(token)
            if index in batch.logits_indices:
                rows.append([len(tokens), sum(tokens), token])
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

    def close(self) -> None:
        self.is_closed = True


class TokenPrefill:
    """Writes tokens as keys. `error` is added to them; `fails`: it raises."""

    description = "the test's prefill"

    def __init__(self, error: float = 0.0) -> None:
        self.error = error
        self.fails = False
        self.computed: list[int] = []

    def compute(self, tokens: NDArray[np.int32], rows: KVRows) -> None:
        if self.fails:
            raise RuntimeError("out of memory")
        assert rows.start == 0
        self.computed.append(len(tokens))
        keys, values = rows.extend(len(tokens))
        keys[0, :, 0] = values[0, :, 0] = tokens + self.error


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


def opened(host: TokenHost, prefill: Prefill | Exception) -> PrefillExecutor:
    """Return an executor whose prefill is opened."""

    def open_prefill() -> Prefill:
        if isinstance(prefill, Exception):
            raise prefill
        return prefill

    executor = PrefillExecutor(cast(PrefillHost, host), open_prefill)
    executor.wait_opened()
    return executor


@pytest.fixture
def host() -> TokenHost:
    """A host without sequences."""
    return TokenHost()


@pytest.fixture
def own() -> TokenPrefill:
    """A prefill that computes what the host does."""
    return TokenPrefill()


@pytest.fixture
def executor(host: TokenHost, own: TokenPrefill, monkeypatch: pytest.MonkeyPatch) -> PrefillExecutor:
    """An executor whose prefill has passed the check."""
    make_host_slow(monkeypatch)
    executor = opened(host, own)
    executor.forward(batch((0, 0, 100, True)))
    executor.release([0])
    assert executor.prompts == "the test's prefill"
    host.computed.clear()
    own.computed.clear()
    return executor


def make_host_slow(monkeypatch: pytest.MonkeyPatch, factor: float = 10.0) -> None:
    """Let the host take `factor` times as long as the prefill, by the clock of the check."""
    times = iter([0.0, factor, 0.0, 1.0] * 10)
    monkeypatch.setattr("homeport.engines.text.prefill.time.perf_counter", lambda: next(times))


def test_a_long_prompt_is_computed_elsewhere_but_for_its_last_token(
    executor: PrefillExecutor, host: TokenHost, own: TokenPrefill
) -> None:
    """The host computes the last token alone, whose logits are those of the whole prompt."""
    rows = executor.forward(batch((1, 0, 200, True)))
    assert (own.computed, host.computed) == ([199], [1])
    assert rows[0, 0] == 200
    assert rows[0, 1] == sum(100 + position % 50 for position in range(200))


def test_short_runs_scores_and_adapters_are_the_hosts_work(
    executor: PrefillExecutor, host: TokenHost, own: TokenPrefill
) -> None:
    """The host computes runs below the limit, prompts whose own tokens are scored, and those with an adapter."""
    executor.forward(batch((1, 0, MIN_TOKENS, True)))
    scored = batch((2, 0, 100, True))
    executor.forward(TokenBatch(scored.tokens, scored.positions, scored.sequences, np.arange(100, dtype=np.int32)))
    adapted = batch((3, 0, 100, True))
    executor.forward(TokenBatch(adapted.tokens, adapted.positions, adapted.sequences, adapted.logits_indices, "x"))
    assert (own.computed, host.computed) == ([], [MIN_TOKENS, 100, 100])


def test_parts_of_a_prompt_are_stored_once(executor: PrefillExecutor, host: TokenHost, own: TokenPrefill) -> None:
    """While a prompt is computed in parts beside a stream, the host computes the stream alone, and stores once."""
    executor.forward(batch((1, 0, 1, True)))
    executor.forward(batch((1, 1, 1, True), (2, 0, 100, False)))
    executor.forward(batch((1, 2, 1, True), (2, 100, 100, False)))
    assert 2 not in host.tokens
    executor.forward(batch((1, 3, 1, True), (2, 200, 1, True)))
    assert (own.computed, host.computed) == ([100, 100], [1, 1, 1, 2])
    assert len(host.tokens[2]) == 201


def test_a_short_run_after_a_long_prefix_is_not_worth_reading_the_prefix(
    executor: PrefillExecutor, host: TokenHost, own: TokenPrefill
) -> None:
    """After 6,400 stored tokens, 150 more are the host's work, and 250 are not."""
    executor.forward(batch((1, 0, 6400, True)))
    executor.fork(1, 2, 6400)
    own.computed.clear()
    executor.forward(batch((1, 6400, 150, True)))
    assert own.computed == []
    executor.forward(batch((2, 6400, 250, True)))
    assert own.computed == [249]


@pytest.mark.parametrize("ends", ["trim", "release"])
def test_a_prompt_that_is_dropped_is_not_stored(
    executor: PrefillExecutor, host: TokenHost, own: TokenPrefill, ends: str
) -> None:
    """A prompt that is cancelled between its parts leaves nothing behind, and its sequence can be used again."""
    executor.forward(batch((1, 0, 100, False)))
    if ends == "trim":
        executor.trim(1, 0)
    else:
        executor.release([1])
    assert not host.tokens.get(1)
    assert executor.forward(batch((1, 0, 50, True)))[0, 0] == 50


def test_what_is_read_of_a_sequence_contains_what_is_pending(executor: PrefillExecutor, host: TokenHost) -> None:
    """Forks and saves contain tokens that were computed but not yet stored."""
    executor.forward(batch((1, 0, 100, False)))
    executor.fork(1, 2, 60)
    assert len(host.tokens[2]) == 60
    executor.forward(batch((1, 100, 40, False)))
    assert len(executor.save(1)) == 140


def test_rows_that_cannot_be_stored_are_computed_again(
    executor: PrefillExecutor, host: TokenHost, own: TokenPrefill
) -> None:
    """If the host cannot store a prompt's rows, it computes the prompt in batches; the logits are the same."""
    executor.forward(batch((1, 0, 500, False)))
    host.has_room = False
    rows = executor.forward(batch((1, 500, 200, True)))
    assert (own.computed, host.computed) == ([500, 199], [512, 187, 1])
    assert rows[0, :2].tolist() == [700, sum(100 + position % 50 for position in range(700))]


def test_a_prefill_that_fails_is_given_up(
    executor: PrefillExecutor, host: TokenHost, own: TokenPrefill, caplog: pytest.LogCaptureFixture
) -> None:
    """If it fails in the middle of a prompt, the host computes the rest, and all later prompts."""
    executor.forward(batch((1, 0, 100, False)))
    own.fails = True
    assert executor.forward(batch((1, 100, 100, True)))[0, 0] == 200
    assert executor.prompts == ""
    assert "from now on prompts are computed by the decoding kernels" in caplog.text
    own.fails = False
    assert executor.forward(batch((2, 0, 100, True)))[0, 0] == 100
    assert own.computed == [100]


def test_a_prefill_that_computes_something_else_is_not_used(
    host: TokenHost, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first prompt's answer is the host's, and keys that differ from it are logged."""
    make_host_slow(monkeypatch)
    executor = opened(host, TokenPrefill(error=90.0))
    assert executor.forward(batch((1, 0, 100, True)))[0, 0] == 100
    assert executor.prompts == ""
    assert "its keys and values differ by" in caplog.text


def test_a_slower_prefill_is_not_used(
    host: TokenHost, own: TokenPrefill, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A prefill that takes longer than the host for three prompts is not used; it is not asked about the fourth."""
    caplog.set_level(logging.INFO, "homeport.text")
    make_host_slow(monkeypatch, factor=0.5)
    executor = opened(host, own)
    for sequence in range(4):
        assert "not used" not in caplog.text or sequence == 3
        executor.forward(batch((sequence, 0, 100, True)))
    assert executor.prompts == ""
    assert own.computed == [99] * 6
    assert "99 tokens take 1000 ms, 495 ms with the decoding kernels" in caplog.text


def test_a_prefill_that_does_not_open_is_no_error(host: TokenHost, caplog: pytest.LogCaptureFixture) -> None:
    """Without a prefill the host computes everything, and the reason is logged."""
    caplog.set_level(logging.INFO, "homeport.text")
    executor = opened(host, Unavailable("The architecture `other` is none of these."))
    assert executor.forward(batch((1, 0, 100, True)))[0, 0] == 100
    assert "The architecture `other` is none of these." in caplog.text
    executor.close()
    assert host.is_closed


Step = tuple[str, int, int]


@given(
    st.lists(
        st.tuples(st.sampled_from(["run", "end", "trim", "fork", "release"]), st.integers(0, 2), st.integers(1, 150)),
        max_size=30,
    )
)
def test_results_do_not_depend_on_who_computes(steps: list[Step]) -> None:
    """Whatever is computed, cut, copied and released in whatever order, the logits are those of the host alone."""
    host, alone = TokenHost(), TokenHost()
    executor = PrefillExecutor(cast(PrefillHost, host), TokenPrefill)
    executor.wait_opened()
    executor._prefill, executor._candidate = executor._candidate, None  # checked
    both: tuple[Any, ...] = (executor, alone)
    for kind, sequence, count in steps:
        length = len(alone.tokens.get(sequence, []))
        if kind in ("run", "end"):
            part = batch((sequence, length, count, kind == "end"))
            results = [each.forward(part) for each in both]
            assert np.array_equal(*results)
        elif kind == "trim":
            for each in both:
                each.trim(sequence, min(count, length))
        elif kind == "release":
            for each in both:
                each.release([sequence])
        elif length:
            target = (sequence + 1) % 3
            for each in both:
                each.release([target])
                each.fork(sequence, target, min(count, length))
    for sequence in range(3):
        assert executor.save(sequence) == alone.save(sequence)
