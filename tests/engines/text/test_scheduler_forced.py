"""Tokens that certainly come next are computed several in a step."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from homeport.domain.content import text_message
from homeport.domain.events import Failed, ToolCallDelta
from homeport.domain.text import ChatPrompt, SamplingParams, StoppingCriteria, TextPrompt, TextRequest
from homeport.domain.tools import Tool, ToolChoice, ToolUse
from homeport.engines.text import output_processor
from homeport.engines.text.constraint import ConstraintFailed
from homeport.engines.text.sampling import TokenSampler
from homeport.engines.text.scheduler import MAX_FORCED, TILE
from tests.engines.text.engine_runner import TextEngineRunner
from tests.engines.text.fake_executor import END, IM_END, SIZE, FakeExecutor
from tests.engines.text.simulation import Ask, Simulation, alone, traits

CALL = b'{"name": "get_weather"}\n'


def _forced(simulation: Simulation, prompt: list[int], length: int, known: int) -> None:
    """Ask for an answer whose first `known` tokens are forced."""
    request = simulation.ask(Ask([prompt], length=length))
    answer = alone(FakeExecutor(simulation.traits), prompt, 0, length)
    request.candidates[0].forced = tuple(answer[:known])


def _run(simulation: Simulation) -> tuple[int, list[int]]:
    """Run to the end; return the steps and the sizes of their drafts. What was forced is so once only."""
    drafts = []
    for steps in range(1, 200):
        plan = simulation.step()
        drafts += [len(part.draft) for part in plan.slices]
        for part in plan.slices:
            if part.draft:
                part.candidate.forced = part.candidate.forced[len(part.draft) + 1 :]
        if simulation.scheduler.is_idle:
            simulation.check_answers()
            return steps, drafts
    raise AssertionError("not finished")


def test_forced_tokens_are_computed_in_one_step() -> None:
    """All forced tokens follow the last token of the prompt, whatever their number; the answer is the same."""
    simulation = Simulation(traits())
    known = 5 * TILE + 1
    _forced(simulation, [1, 2, 3], known + 4, known)
    steps, drafts = _run(simulation)
    assert drafts[0] == known
    assert steps == 4


def test_they_are_no_speculation() -> None:
    """Forced tokens count neither as drafted nor as accepted."""
    simulation = Simulation(traits())
    _forced(simulation, [1, 2, 3], 12, 8)
    _run(simulation)
    assert simulation.scheduler.counters.drafted == simulation.scheduler.counters.accepted == 0


@pytest.mark.parametrize(("batch", "window", "quota"), [(8, 512, None), (64, 12, None), (64, 512, 4)])
def test_they_take_only_the_room_that_is_left(batch: int, window: int, quota: int | None) -> None:
    """The batch, the window and the quota limit them."""
    simulation = Simulation(traits(batch=batch, window=window))
    _forced(simulation, [1, 2, 3], 9, 9)
    simulation.requests[0].quota = quota
    plan = simulation.step()
    size = sum(part.stop - part.start + len(part.draft) for part in plan.slices)
    assert size == min(batch, window, 12 if quota is None else 3 + quota - 1)


def test_nothing_is_drafted_where_it_cannot_be_undone() -> None:
    """On an executor that cannot trim, forced tokens come one per step."""
    simulation = Simulation(traits(can_trim=False))
    _forced(simulation, [1, 2, 3], 6, 6)
    steps, drafts = _run(simulation)
    assert not any(drafts)
    assert steps == 6


def test_what_follows_a_sampled_token_is_computed_with_it() -> None:
    """Tokens that follow a sampled one are appended at once, and take no step and no row of logits of their own."""
    simulation = Simulation(traits(can_trim=False))
    simulation.ask(Ask([[1, 2, 3]], length=12, forced=3))
    plans = [simulation.step() for _ in range(3)]
    assert [(part.stop - part.start, len(part.rows)) for plan in plans for part in plan.slices] == [
        (3, 1),
        (4, 1),
        (4, 1),
    ]
    assert simulation.scheduler.is_idle
    simulation.check_answers()


def test_streams_fill_whole_tiles() -> None:
    """Beside many streams, no step computes a few more tokens than whole tiles: these are left to the next one."""
    simulation = Simulation(traits(sequences=16))
    for start in range(TILE):
        simulation.ask(Ask([[start + 1]], length=16, forced=0 if start else 2))
    sizes = []
    while not simulation.scheduler.is_idle:
        plan = simulation.step()
        sizes.append((len(plan.slices), sum(part.stop - part.start for part in plan.slices)))
    assert {size for streams, size in sizes if streams == TILE} == {TILE}
    simulation.check_answers()


def test_many_tokens_do_not_stall_other_streams() -> None:
    """More of them than a stream's part of a step are computed in several steps, beside the other streams."""
    simulation = Simulation(traits(), prefill_slice=16)
    simulation.ask(Ask([[1, 2, 3]], length=60))
    simulation.step()
    simulation.ask(Ask([[5, 6]], length=50, forced=2 * MAX_FORCED))
    sizes = [max(part.stop - part.start for part in simulation.step().slices) for _ in range(8)]
    assert max(sizes) <= 16
    simulation.run()
    simulation.check_answers()


class Script:
    """A grammar of one text, then nothing; or one that fails after it."""

    def __init__(self, *, fails: bool) -> None:
        self._left, self._fails = list(CALL), fails

    @property
    def is_complete(self) -> bool:
        """Whether the text is complete."""
        return not self._left and not self._fails

    def forced(self) -> Sequence[int]:
        """Return what is left of the text."""
        return tuple(self._left)

    def allows(self, token: int) -> bool:
        """Allow the text and then the end."""
        return [token] == (self._left[:1] or [IM_END])

    def mask(self) -> NDArray[np.bool_]:
        """Allow the end, or fail."""
        if self._fails:
            raise ConstraintFailed("too complex")
        mask = np.zeros(SIZE, np.bool_)
        mask[IM_END] = True
        return mask

    def accept(self, token: int) -> None:
        """Go on."""
        if self._left:
            self._left.pop(0)


def _constrained(monkeypatch: pytest.MonkeyPatch, *, fails: bool) -> None:
    """Constrain all answers whose seed is 1."""

    class Constrained(TokenSampler):
        def __init__(self, sampling: SamplingParams, **options: object) -> None:
            super().__init__(sampling, **options)  # type: ignore[arg-type]
            if sampling.seed == 1:
                self.constraint = Script(fails=fails)

    monkeypatch.setattr(output_processor, "TokenSampler", Constrained)


def _request(seed: int, n: int = 1) -> TextRequest:
    sampling = SamplingParams(temperature=1.0, seed=seed)
    return TextRequest((TextPrompt("call: "),), sampling, StoppingCriteria(max_tokens=60), n, n, None, False)


def test_a_forced_call_takes_few_forward_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of forced tokens is computed together with its prompt, for each of two choices."""
    _constrained(monkeypatch, fails=False)
    for n in (1, 2):
        with TextEngineRunner() as running:
            result = running.ask(_request(1, n))
            assert all(result.texts[choice].startswith(CALL.decode()) for choice in range(n))
            assert running.engine.stats().drafted_tokens == 0
            if n == 1:
                assert result.deltas <= 3 + 60 - len(CALL)


def test_an_answer_that_leaves_its_grammar_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request whose constraint fails ends with an error, and those next to it, and the engine, go on."""
    with TextEngineRunner() as running:
        expected = running.ask(_request(2)).texts
    _constrained(monkeypatch, fails=True)
    with TextEngineRunner() as running:
        ids = [running.open(_request(seed, n)) for seed, n in ((1, 1), (2, 1), (1, 3))]
        failed, other, several = (running.end(id) for id in ids)
        assert other.texts == expected
        for result in (failed, several):
            assert result.error is not None
            assert result.error.kind == "EngineFailed"
            assert result.error.message == "too complex"
        assert running.ask(_request(2)).texts == expected
        assert running.failure is None
        assert running.engine.stats().cells_used == 0
    assert sum(isinstance(event, Failed) for call in running.calls for _, event in call) == 2


def test_an_answer_ends_at_the_third_equal_call() -> None:
    """A model that writes one call again and again ends its answer with the third, complete."""
    tools = ToolUse((Tool("look"),), ToolChoice("required"))
    prompt = ChatPrompt((text_message("user", "go"),), tools)
    endless = SamplingParams(temperature=1.0, seed=1, logit_bias={IM_END: -100.0, END: -100.0})
    request = TextRequest((prompt,), endless, StoppingCriteria(max_tokens=400), 1, 1, None, False)
    with TextEngineRunner() as running:
        id = running.open(request)
        result = running.end(id)
        calls = [event for event in running.events(id) if isinstance(event, ToolCallDelta)]
    assert result.reasons == {0: "tool_calls"}
    assert [event.name for event in calls if event.name] == ["look"] * 3
    assert "".join(event.arguments for event in calls) == "{}" * 3
