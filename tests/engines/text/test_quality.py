"""Speed costs no quality: however tokens were batched, moved, shared or kept, the model says what it would alone.

Kernels round by batch size, so logits differ by noise. Its size is measured here in the same run, by computing a text
in slices and in one batch; another prefix of the same length is many times as far away.
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

LANE = 256
LENGTH = LANE + 14
HALF = 3  # the sequence that holds the first half
ENDS = 6  # the last so many rows are compared
NOISE = 2.5  # times the mean distance of slices and one batch
STORY = (
    "The harbour lay quiet under a thin fog. Two boats had come in before dawn, and the men who sailed them sat on "
    "the wall, mending nets and speaking of the weather. A child asked them what the sea was like at night. "
)


class Model:
    """One starter model, in lanes with a pool behind them, and what it says of a text computed in one piece."""

    def __init__(self, weights: Path) -> None:
        options = LlamaOptions(2 * LANE, 2 * LANE + 4 * LANE, sequences=4, batch=2 * LANE, threads=1)
        self.executor = load(weights, options)
        self.ids = self.executor.tokenize(STORY * 8, special=False)[:LENGTH]
        assert len(self.ids) == LENGTH
        plain = load(weights, LlamaOptions(2 * LANE, 2 * LANE, sequences=1, batch=2 * LANE, threads=1, kv="unified"))
        self.half = half = LANE // 2
        self.expected = np.zeros((LENGTH, plain.vocabulary.size), np.float32)  # those rows that tests look at
        wanted = np.array([*range(half, half + 3 + ENDS), *range(LENGTH - ENDS, LENGTH)], np.int32)
        whole = np.arange(LENGTH, dtype=np.int32)
        self.expected[wanted] = plain.forward(TokenBatch(np.array(self.ids, np.int32), whole, 0 * whole, wanted))
        plain.close()
        # Sequence 3 keeps the first half for all tests, as computing it again and again would take most of their time.
        compute(self.executor, self.ids[:half], HALF)
        sliced = compute(self.executor, self.ids[: half + ENDS], HALF, start=half)
        self.noise = apart(sliced, self.expected[half : half + ENDS])
        self.executor.trim(HALF, half)


def compute(executor: LlamaExecutor, ids: list[int], sequence: int, *, start: int = 0, wanted: int = ENDS) -> Logits:
    """The last rows (`wanted`, V) of ids, those from `start` on computed in one batch."""
    count = len(ids) - start
    return executor.forward(
        TokenBatch(
            np.array(ids[start:], np.int32),
            np.arange(start, len(ids), dtype=np.int32),
            np.full(count, sequence, np.int32),
            np.arange(max(0, count - ENDS), count, dtype=np.int32),
        )
    ).copy()


def apart(left: Logits, right: Logits) -> float:
    """The mean distance of logits."""
    return float(np.abs(left - right).mean())


@pytest.fixture(scope="module", params=["smollm2", "qwen"])
def model(request: pytest.FixtureRequest) -> Iterator[Model]:
    """Either starter model."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(kv_sizing, "_MIN_STREAM_TOKENS", LANE)  # so that a short text outgrows its lane
        found = Model(request.getfixturevalue(request.param))
    yield found
    found.executor.close()


@pytest.fixture(autouse=True)
def emptied(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test begins with empty sequences, but for the one that holds the first half."""
    yield
    if "model" in request.fixturenames:
        request.getfixturevalue("model").executor.release([0, 1, 2])


def _check(model: Model, found: Logits, stop: int) -> None:
    expected = model.expected[stop - len(found) : stop]
    assert apart(found, expected) < NOISE * model.noise
    sure = np.sort(expected, axis=1)
    clear = sure[:, -1] - sure[:, -2] > 8 * model.noise  # rows with one likeliest token, whatever the rounding
    assert (found.argmax(axis=1) == expected.argmax(axis=1))[clear].all()


def test_the_noise_is_told_from_another_prefix(model: Model) -> None:
    """The tolerance is tight: a prefix shifted by one token is beyond it by far."""
    half = model.half
    compute(model.executor, model.ids[1 : half + 1], 0)
    other = compute(model.executor, model.ids[: half + ENDS], 0, start=half)
    assert apart(other, model.expected[half : half + ENDS]) > 2 * NOISE * model.noise


def test_forks_and_neighbours_change_nothing(model: Model) -> None:
    """A fork of a fork, beside other sequences in one step."""
    executor, ids, half = model.executor, model.ids, model.half
    executor.fork(HALF, 2, half)
    executor.fork(2, 0, half - 8)
    executor.release([2])
    compute(executor, ids[::-1][:40], 1)
    stop = half + ENDS
    mine = list(range(half - 8, stop))
    tokens = [*(ids[at] for at in mine), ids[-41]]
    positions, sequences = [*mine, 40], [0] * len(mine) + [1]
    wanted = range(len(mine) - ENDS, len(mine) + 1)
    parts = [np.array(part, np.int32) for part in (tokens, positions, sequences, wanted)]
    rows = executor.forward(TokenBatch(parts[0], parts[1], parts[2], parts[3]))
    _check(model, rows[:ENDS].copy(), stop)


def test_a_restored_prefix_goes_on_as_if_computed(model: Model) -> None:
    """Saved as bytes, released and restored under another id: what disk and restarts do."""
    executor, ids, half = model.executor, model.ids, model.half
    executor.fork(HALF, 2, half)
    state = executor.save(2)
    executor.release([2])
    compute(executor, ids[::-1][:40], 2)
    executor.restore(0, state)
    _check(model, compute(executor, ids[: half + ENDS], 0, start=half), half + ENDS)


def test_guessed_tokens_are_judged_by_the_same_logits(model: Model) -> None:
    """Right and wrong guesses in one batch, the wrong ones taken back: rows before and after are the model's own."""
    executor, ids, half = model.executor, model.ids, model.half
    executor.fork(HALF, 0, half)
    wrong = [*ids[: half + 3], 11, 12, 13]
    _check(model, compute(executor, wrong, 0, start=half)[:3], half + 3)
    executor.trim(0, half + 3)
    _check(model, compute(executor, ids[: half + 3 + ENDS], 0, start=half + 3), half + 3 + ENDS)


def test_a_sequence_that_moves_to_the_pool_stays_itself(model: Model) -> None:
    """Grown over its lane's end, it goes on in the pool; forked back, it goes on in a lane."""
    executor, ids = model.executor, model.ids
    executor.fork(HALF, 1, model.half)
    compute(executor, ids[: LANE - 2], 1, start=model.half)
    _check(model, compute(executor, ids, 1, start=LANE - 2), LENGTH)
    half = LANE // 2
    executor.fork(1, 2, half)
    _check(model, compute(executor, ids[: half + ENDS], 2, start=half), half + ENDS)


def _asked() -> dict[str, TextRequest]:
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


# Written down once, without batching, cache or guesses.
GOLDEN = {
    "completion": ["7B|Vtgb>Z*0Lv3ZXnyo]^C|O"],
    "chat": ["jk%p?Dplk:qZ2at1mT%i'w{}"],
    "edit": ["gSc/aao@x%7g~/|`Odk0Mvj;"],
    "sampled": ['hbAdc%7flJ%V}od"rn#PH TW', ":&jw*M:_=9G9j~d}qENqN()j"],
}


@pytest.mark.parametrize("options", [{}, {"kv": "streams"}, {"cells": 900, "window": 800}, {"speculate": False}])
@pytest.mark.parametrize("disk", [False, True])
def test_golden_answers_never_change(tmp_path: Path, options: dict[str, str | int | bool], disk: bool) -> None:
    """On the fake executor, alone and in a crowd, in any layout, with and without disk: these texts, to the letter."""
    folder = str(tmp_path) if disk else None
    asked = _asked()
    for _ in range(2):  # the second server begins with what the first kept
        with TextEngineRunner(None, prefixes=folder, **options) as running:
            for _ in range(2):
                ids = {(name, index): running.open(ask) for index in range(3) for name, ask in asked.items()}
                for (name, _index), id in ids.items():
                    assert list(running.end(id).texts.values()) == GOLDEN[name]
