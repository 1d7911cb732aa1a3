"""Background requests in the text engine: they stand still without credit, and short steps while nobody waits."""

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


def test_what_has_lost_its_credit_goes_on_where_it_stood() -> None:
    """Taken far more credit than it had, a stream stands still beside others, and says the same in the end."""
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


def test_a_prompt_that_nobody_waits_for_is_computed_in_short_steps() -> None:
    """Before anything was measured, a background prompt enters a little at a time; beside a caller's it does not."""
    text = "word " * 100
    with TextEngineRunner(window=1024, cells=4096, batch=512) as running:
        running.ask(_request(text, 1, is_background=True))
        background = running.engine.stats().steps
    with TextEngineRunner(window=1024, cells=4096, batch=512) as running:
        running.ask(_request(text, 1))
        assert running.engine.stats().steps < background
    assert background > 1


def test_who_stands_still_does_not_count_as_waiting() -> None:
    """Prompts without credit do not make the slices of others larger: nobody waits for them."""
    seen: list[tuple[int, int]] = []
    pace = PrefillBudget(64)

    def watched(decode: int, prompts: int) -> int:
        seen.append((decode, prompts))
        return pace.tokens_for_step(decode, prompts)

    simulation = Simulation(traits(batch=64, cells=4000, sequences=8))
    simulation.scheduler._pace = watched
    halted = [simulation.ask(Ask([[salt] * 40], length=20)) for salt in range(3)]
    simulation.step()
    for group in halted:
        group.credit -= HALT
    simulation.ask(Ask([[9] * 40], length=20))
    simulation.step()
    simulation.step()
    assert seen[-1] == (1, 0)
