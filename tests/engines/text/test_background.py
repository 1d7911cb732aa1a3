"""Background requests in the text engine: they pause without credit, and steps are short if only they run."""

from homeport.domain.text import (
    SamplingParams,
    StoppingCriteria,
    TextPrompt,
    TextRequest,
)
from homeport.engines.text.prefill_budget import PrefillBudget
from tests.engines.text.engine_runner import TextEngineRunner
from tests.engines.text.simulation import Ask, Simulation, traits

HALT = 1 << 40


def _request(text: str, max_tokens: int, *, is_background: bool = False) -> TextRequest:
    ending, sampling = StoppingCriteria(max_tokens=max_tokens, ignore_eos=True), SamplingParams(seed=1)
    return TextRequest(prompts=(TextPrompt(text),), sampling=sampling, stopping=ending, is_background=is_background)


def test_a_stream_resumes_after_losing_its_credit() -> None:
    """A stream that loses more credit than it has pauses while others run, and then completes with the same text."""
    with TextEngineRunner(window=4096, cells=8192) as running:
        whole = running.ask(_request("seed", 2000))
        id = running.open(_request("seed", 2000, is_background=True))
        running.wait_for_delta(id, 10)
        running.engine.credit(id, -HALT)
        running.ask(_request("another", 50))
        so_far = len(running.events(id))
        running.ask(_request("yet another", 50))
        assert len(running.events(id)) == so_far < 2000
        running.engine.credit(id, HALT)
        assert running.end(id).text == whole.text


def test_background_prompts_are_computed_in_short_steps() -> None:
    """Before anything is measured, a background prompt is computed in small slices; a foreground prompt is not."""
    text = "word " * 100
    with TextEngineRunner(window=1024, cells=4096, batch=512) as running:
        running.ask(_request(text, 1, is_background=True))
        background = running.engine.stats().steps
    with TextEngineRunner(window=1024, cells=4096, batch=512) as running:
        running.ask(_request(text, 1))
        assert running.engine.stats().steps < background
    assert background > 1


def test_paused_prompts_do_not_count_as_waiting() -> None:
    """Prompts without credit do not increase the slices of others."""
    calls: list[tuple[int, int]] = []
    budget = PrefillBudget(64)

    def recorded(decode: int, prompts: int) -> int:
        calls.append((decode, prompts))
        return budget.tokens_for_step(decode, prompts)

    simulation = Simulation(traits(batch=64, cells=4000, sequences=8))
    simulation.scheduler._prefill_budget = recorded
    paused = [simulation.ask(Ask([[salt] * 40], length=20)) for salt in range(3)]
    simulation.step()
    for request in paused:
        request.credit -= HALT
    simulation.ask(Ask([[9] * 40], length=20))
    simulation.step()
    simulation.step()
    assert calls[-1] == (1, 0)
