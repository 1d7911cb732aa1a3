"""Optimizations cost no quality: batching, moving, sharing and storing do not change the model's logits.

Kernels round by batch size, so logits differ by noise. Its size is measured in the same run, by computing a text in
slices and in one batch. Another prefix of the same length is many times as far away.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from homeport.domain.content import text_message
from homeport.domain.text import ChatPrompt, EditPrompt, SamplingParams, StoppingCriteria, TextPrompt, TextRequest
from homeport.engines.text.executor import Logits, TokenBatch
from homeport.engines.text.executors.llama import kv_sizing
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from tests.engines.text.engine_runner import TextEngineRunner

STREAM = 256
LENGTH = STREAM + 14
HALF = 3  # the sequence that holds the first half
COMPARED_ROWS = 6  # the last rows, which are compared
NOISE = 2.5  # times the mean distance of slices and one batch
STORY = (
    "The harbour lay quiet under a thin fog. Two boats had come in before dawn, and the men who sailed them sat on "
    "the wall, mending nets and speaking of the weather. A child asked them what the sea was like at night. "
)


class Model:
    """One starter model with KV streams and a unified cache, and the logits of a text computed in one batch."""

    def __init__(self, weights: Path) -> None:
        options = LlamaOptions(2 * STREAM, 2 * STREAM + 4 * STREAM, sequences=4, batch=2 * STREAM, threads=1)
        self.executor = load(weights, options)
        self.ids = self.executor.tokenize(STORY * 8, special=False)[:LENGTH]
        assert len(self.ids) == LENGTH
        plain = load(
            weights, LlamaOptions(2 * STREAM, 2 * STREAM, sequences=1, batch=2 * STREAM, threads=1, kv="unified")
        )
        self.half = half = STREAM // 2
        self.expected = np.zeros((LENGTH, plain.vocabulary.size), np.float32)  # only the rows that tests compare
        wanted = np.array([*range(half, half + 3 + COMPARED_ROWS), *range(LENGTH - COMPARED_ROWS, LENGTH)], np.int32)
        whole = np.arange(LENGTH, dtype=np.int32)
        self.expected[wanted] = plain.forward(TokenBatch(np.array(self.ids, np.int32), whole, 0 * whole, wanted))
        plain.close()
        # Sequence 3 holds the first half for all tests, because computing it for each would take most of their time.
        compute(self.executor, self.ids[:half], HALF)
        sliced = compute(self.executor, self.ids[: half + COMPARED_ROWS], HALF, start=half)
        self.noise = distance(sliced, self.expected[half : half + COMPARED_ROWS])
        self.executor.trim(HALF, half)


def compute(
    executor: LlamaExecutor, ids: list[int], sequence: int, *, start: int = 0, wanted: int = COMPARED_ROWS
) -> Logits:
    """Return the last rows (M, V) of ids, those from `start` on computed in one batch."""
    count = len(ids) - start
    return executor.forward(
        TokenBatch(
            np.array(ids[start:], np.int32),
            np.arange(start, len(ids), dtype=np.int32),
            np.full(count, sequence, np.int32),
            np.arange(max(0, count - COMPARED_ROWS), count, dtype=np.int32),
        )
    ).copy()


def distance(left: Logits, right: Logits) -> float:
    """Return the mean distance of logits."""
    return float(np.abs(left - right).mean())


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.weights) for name in ("smollm2", "qwen")])
def model(request: pytest.FixtureRequest) -> Iterator[Model]:
    """Either starter model."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kv_sizing, "_MIN_STREAM_TOKENS", STREAM)  # so that a short text outgrows its stream
        found = Model(request.getfixturevalue(request.param))
    yield found
    found.executor.close()


@pytest.fixture(autouse=True)
def empty_sequences(request: pytest.FixtureRequest) -> Iterator[None]:
    """Start every test with empty sequences, except the one that holds the first half."""
    yield
    if "model" in request.fixturenames:
        request.getfixturevalue("model").executor.release([0, 1, 2])


def _check(model: Model, found: Logits, stop: int) -> None:
    expected = model.expected[stop - len(found) : stop]
    assert distance(found, expected) < NOISE * model.noise
    ordered = np.sort(expected, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 8 * model.noise  # rows with a clearly likeliest token
    assert (found.argmax(axis=1) == expected.argmax(axis=1))[clear].all()


def test_another_prefix_is_beyond_the_noise(model: Model) -> None:
    """The tolerance is tight: a prefix shifted by one token is far beyond it."""
    half = model.half
    compute(model.executor, model.ids[1 : half + 1], 0)
    other = compute(model.executor, model.ids[: half + COMPARED_ROWS], 0, start=half)
    assert distance(other, model.expected[half : half + COMPARED_ROWS]) > 2 * NOISE * model.noise


def test_forks_and_neighbors_change_nothing(model: Model) -> None:
    """A fork of a fork, in one step with other sequences, has the same logits."""
    executor, ids, half = model.executor, model.ids, model.half
    executor.fork(HALF, 2, half)
    executor.fork(2, 0, half - 8)
    executor.release([2])
    compute(executor, ids[::-1][:40], 1)
    stop = half + COMPARED_ROWS
    positions_of_fork = list(range(half - 8, stop))
    tokens = [*(ids[at] for at in positions_of_fork), ids[-41]]
    positions, sequences = [*positions_of_fork, 40], [0] * len(positions_of_fork) + [1]
    wanted = range(len(positions_of_fork) - COMPARED_ROWS, len(positions_of_fork) + 1)
    parts = [np.array(part, np.int32) for part in (tokens, positions, sequences, wanted)]
    rows = executor.forward(TokenBatch(parts[0], parts[1], parts[2], parts[3]))
    _check(model, rows[:COMPARED_ROWS].copy(), stop)


def test_a_restored_prefix_continues_unchanged(model: Model) -> None:
    """A sequence saved as bytes, released and restored under another id has the same logits."""
    executor, ids, half = model.executor, model.ids, model.half
    executor.fork(HALF, 2, half)
    state = executor.save(2)
    executor.release([2])
    compute(executor, ids[::-1][:40], 2)
    executor.restore(0, state)
    _check(model, compute(executor, ids[: half + COMPARED_ROWS], 0, start=half), half + COMPARED_ROWS)


def test_drafts_change_no_logits(model: Model) -> None:
    """With accepted and rejected draft tokens in one batch, rows before and after them are unchanged."""
    executor, ids, half = model.executor, model.ids, model.half
    executor.fork(HALF, 0, half)
    wrong = [*ids[: half + 3], 11, 12, 13]
    _check(model, compute(executor, wrong, 0, start=half)[:3], half + 3)
    executor.trim(0, half + 3)
    _check(model, compute(executor, ids[: half + 3 + COMPARED_ROWS], 0, start=half + 3), half + 3 + COMPARED_ROWS)


def test_a_sequence_that_moves_stays_unchanged(model: Model) -> None:
    """A sequence that outgrows its stream continues in the unified cache; a short fork of it is in a stream again."""
    executor, ids = model.executor, model.ids
    executor.fork(HALF, 1, model.half)
    compute(executor, ids[: STREAM - 2], 1, start=model.half)
    _check(model, compute(executor, ids, 1, start=STREAM - 2), LENGTH)
    half = STREAM // 2
    executor.fork(1, 2, half)
    _check(model, compute(executor, ids[: half + COMPARED_ROWS], 2, start=half), half + COMPARED_ROWS)


def _requests() -> dict[str, TextRequest]:
    prose = "It was a dark and stormy night; the rain fell in torrents. "
    greedy, ending = SamplingParams(temperature=0.0), StoppingCriteria(max_tokens=24)
    chat = ChatPrompt((text_message("system", "Be brief."), text_message("user", "Who goes there?")))
    warm = SamplingParams(temperature=1.0, top_p=0.9, seed=7, frequency_penalty=0.5)
    return {
        "completion": TextRequest((TextPrompt(prose),), greedy, ending),
        "chat": TextRequest((chat,), greedy, ending),
        "edit": TextRequest((EditPrompt(prose, "Shout."),), greedy, ending),
        "sampled": TextRequest((TextPrompt(prose),), warm, ending, 2, 3),
    }


# Recorded once, without batching, cache or drafts.
GOLDEN = {
    "completion": ["7B|Vtgb>Z*0Lv3ZXnyo]^C|O"],
    "chat": ["jk%p?Dplk:qZ2at1mT%i'w{}"],
    "edit": ["gSc/aao@x%7g~/|`Odk0Mvj;"],
    "sampled": ['hbAdc%7flJ%V}od"rn#PH TW', ":&jw*M:_=9G9j~d}qENqN()j"],
}


@pytest.mark.parametrize("options", [{}, {"kv": "streams"}, {"cells": 900, "window": 800}, {"speculate": False}])
@pytest.mark.parametrize("disk", [False, True])
def test_golden_answers_never_change(tmp_path: Path, options: dict[str, str | int | bool], disk: bool) -> None:
    """On the fake executor these texts are exact: alone and concurrent, in any layout, with and without disk."""
    folder = str(tmp_path) if disk else None
    requests = _requests()
    for _ in range(2):  # the second engine begins with the prefixes of the first
        with TextEngineRunner(None, prefixes=folder, **options) as running:
            for _ in range(2):
                ids = {(name, index): running.open(ask) for index in range(3) for name, ask in requests.items()}
                for (name, _index), id in ids.items():
                    assert list(running.end(id).texts.values()) == GOLDEN[name]
