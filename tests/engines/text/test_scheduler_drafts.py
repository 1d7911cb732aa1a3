"""Drafts in steps: the same answers in fewer steps, and never at the expense of other requests."""

import json
from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.domain.events import TextDelta
from homeport.domain.text import (
    EditPrompt,
    SamplingParams,
    StoppingCriteria,
    TextPrompt,
    TextRequest,
)
from homeport.engines.text.engine import TextEngine
from homeport.engines.text.executor import Executor, Logits, TokenBatch
from homeport.engines.text.executors.llama.executor import LlamaExecutor
from homeport.engines.text.options import TextOptions
from tests.engines.text.engine_runner import TextEngineRunner, TextEvents
from tests.engines.text.fake_executor import FakeExecutor
from tests.engines.text.simulation import Ask, Simulation, alone, traits

PROSE = "The quick brown fox jumps over the lazy dog, and the lazy dog does not mind it at all; it sleeps on. "
EDITED = PROSE.replace("lazy", "idle").replace("quick brown", "slow")
SCRIPT = json.dumps({"assistant\n```\n": EDITED + "\n```", "say it again: ": PROSE + PROSE, "aloud: ": "la " * 40})
NEAR = 0.35  # logits on average: see executors/llama/test_executor.py
LAYOUTS = ("streams", "unified")


def _request(prompt: TextPrompt | EditPrompt) -> TextRequest:
    return TextRequest((prompt,), SamplingParams(temperature=0.0), StoppingCriteria(max_tokens=260), 1, 1, None, False)


EDIT = _request(EditPrompt(PROSE, "be idle"))
AGAIN = _request(TextPrompt(PROSE + "say it again: "))


@pytest.mark.parametrize("request_", [EDIT, AGAIN])
def test_a_repeated_text_takes_at_most_half_the_steps(request_: TextRequest) -> None:
    """An edit and a repeated prompt have the same text as without drafts, in at most half the steps."""
    steps = {}
    results: dict[bool, TextEvents] = {}
    for speculates in (False, True):
        with TextEngineRunner(speculate=speculates, script=SCRIPT) as running:
            results[speculates] = running.ask(request_)
            stats = running.engine.stats()
            steps[speculates] = stats.steps
    assert results[True].texts == results[False].texts
    assert results[True].usage == results[False].usage
    assert 2 * steps[True] <= steps[False]
    assert stats.accepted_tokens >= steps[False] - steps[True]


def test_nothing_is_drafted_if_it_is_off_or_not_possible() -> None:
    """With the option off, and on an executor that cannot trim, no draft is computed."""
    for speculates, can_trim in ((False, True), (True, False)):
        with TextEngineRunner(script=SCRIPT, speculate=speculates, can_trim=can_trim) as running:
            running.ask(EDIT)
            assert running.engine.stats().drafted_tokens == 0


def test_the_tokens_of_a_step_are_one_delta() -> None:
    """All tokens of a step are one delta, which counts them and costs one delta of credit."""
    with TextEngineRunner(script=SCRIPT) as running:
        id = running.open(EDIT, credit=1)
        credit = 1
        while True:
            running.wait(id, lambda events, credit=credit: len(events) > credit)  # type: ignore[misc]
            events = running.events(id)
            deltas = [event for event in events if isinstance(event, TextDelta)]
            assert len(deltas) <= credit
            if not isinstance(events[-1], TextDelta):
                break
            credit += 1
            running.engine.credit(id, 1)
        results = running.end(id)
    assert results.usage is not None
    assert sum(delta.tokens for delta in deltas) == results.usage.completion_tokens - len(
        "```"
    )  # its end is never emitted
    assert max(delta.tokens for delta in deltas) > 4


requests = st.builds(
    TextRequest,
    st.lists(
        st.sampled_from(
            (
                EditPrompt(PROSE, "be idle"),
                TextPrompt(PROSE + "say it again: "),
                TextPrompt("sing aloud: "),
                TextPrompt("x"),
            )
        ),
        min_size=1,
        max_size=2,
    ).map(tuple),
    st.builds(
        SamplingParams,
        temperature=st.sampled_from((0.0, 1.0, 8.0)),
        seed=st.integers(0, 50),
        top_p=st.sampled_from((0.8, 1.0)),
        frequency_penalty=st.sampled_from((0.0, 2.0)),
        repetition_penalty=st.sampled_from((1.0, 1.2)),
    ),
    st.builds(
        StoppingCriteria,
        max_tokens=st.integers(1, 150),
        stop=st.sampled_from(((), ("dog",), ("la la", "\n"))),
        min_tokens=st.sampled_from((0, 30)),
        ignore_eos=st.booleans(),
    ),
    n=st.integers(1, 2),
    best_of=st.integers(2, 3),
    logprobs=st.sampled_from((None, 2)),
    echo=st.booleans(),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(requests, min_size=1, max_size=4), st.sampled_from((700, 4096)), st.sampled_from(("streams", "unified"))
)
def test_answers_are_the_same_with_and_without_drafts(traffic: list[TextRequest], cells: int, kv: str) -> None:
    """With any sampling, stops, n, best_of, echo, scores, late credit and tight memory, texts and usage agree."""
    results = []
    for speculates in (False, True):
        with TextEngineRunner(
            speculate=speculates, cells=cells, batch=64, sequences=6, kv=kv, script=SCRIPT, window=600
        ) as running:
            ids = [running.open(request, 3) for request in traffic]
            for id in ids:
                running.engine.credit(id, 1_000)
            results.append([running.end(id) for id in ids])
            assert running.failure is None
            assert running.engine.stats().cells_used == 0
    for plain, drafted in zip(*results, strict=True):
        assert plain.texts == drafted.texts
        assert plain.reasons == drafted.reasons
        assert plain.scored == drafted.scored
        assert plain.error == drafted.error
        assert (plain.usage is None) == (drafted.usage is None)
        if plain.usage and drafted.usage:
            assert plain.usage.completion_tokens == drafted.usage.completion_tokens


def _copied(prompt: list[int], length: int) -> Ask:
    """Return a request whose answer is predicted exactly."""
    return Ask([prompt], length=length, copies=alone(FakeExecutor(traits()), prompt, 0, length))


def test_drafts_take_only_the_room_that_is_left() -> None:
    """In a batch of 8, two decoding candidates and a prefill come first, and slices never exceed batch or window."""
    simulation = Simulation(traits(batch=8, window=50), prefill_slice=4)
    for salt in range(2):
        simulation.ask(_copied([salt, 1, 2], 40))
    while not simulation.scheduler.is_idle:
        plan = simulation.step()
        assert sum(part.stop - part.start + len(part.draft) for part in plan.slices) <= 8
        assert all(part.stop + len(part.draft) <= 50 for part in plan.slices)
    simulation.check_answers()
    assert simulation.scheduler.counters.accepted > 20


def test_nothing_is_preempted_for_a_draft() -> None:
    """With few cells more than both answers need, drafts shrink to nothing and no answer is preempted."""
    simulation = Simulation(traits(cells=92, sequences=2), retain=0)
    for salt in range(2):
        simulation.ask(_copied([salt, 1, 2], 40))
    simulation.run()
    simulation.check_answers()
    counters = simulation.scheduler.counters
    assert counters.preemptions == 0
    assert counters.accepted > 0


def test_twins_start_from_a_prompt_whose_leader_has_a_draft() -> None:
    """Drafts may follow the last prompt token, and the other candidates fork without them."""
    simulation = Simulation(traits(shares_cells=False))
    ask = _copied([1, 2], 12)
    ask.candidates = 3
    simulation.ask(ask)
    first = simulation.step()
    assert len(first.slices[0].draft) > 0
    assert len(simulation.scheduler.running) == 3
    simulation.run()
    simulation.check_answers()


class Recorder:
    """A real executor that records the token at each position of its one sequence, and the latest logits."""

    def __init__(self, executor: LlamaExecutor) -> None:
        self._executor = executor
        self.tokens: dict[int, int] = {}
        self.logits: dict[int, Logits] = {}

    def __getattr__(self, name: str) -> object:
        return getattr(self._executor, name)

    def forward(self, batch: TokenBatch) -> Logits:
        """Compute and record."""
        rows = self._executor.forward(batch)
        self.tokens.update(zip(batch.positions.tolist(), batch.tokens.tolist(), strict=True))
        self.logits.update(zip(batch.positions[batch.logits_indices].tolist(), rows.copy(), strict=True))
        return rows

    def close(self) -> None:
        """Empty the executor, which other tests use."""
        self._executor.release([0])


def test_real_logits_with_drafts_are_those_of_one_pass(small: LlamaExecutor) -> None:
    """Each token of an edit was sampled from the logits that its final text gives, within the kernels' rounding."""
    recorder = Recorder(small)
    edit = TextRequest(
        (EditPrompt(PROSE, "Repeat the text"),), SamplingParams(temperature=0.0), StoppingCriteria(max_tokens=60)
    )
    with TextEngineRunner(TextEngine("small", cast(Executor, recorder), TextOptions())) as running:
        results = running.ask(edit)
        stats = running.engine.stats()
    assert results.usage is not None
    assert stats.accepted_tokens > 10
    first, length = results.usage.prompt_tokens, results.usage.prompt_tokens + results.usage.completion_tokens - 1
    ids = np.array([recorder.tokens[position] for position in range(length)], np.int32)
    positions = np.arange(length, dtype=np.int32)
    plain = small.forward(TokenBatch(ids, positions, np.zeros(length, np.int32), positions))
    sampled_from = np.array([recorder.logits[position] for position in range(first - 1, length)])
    assert np.abs(sampled_from - plain[first - 1 :]).mean() < NEAR
    small.release([0])
