"""How many prompt tokens a step computes, from the measured costs of steps."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from homeport.engines.text.prefill_budget import (
    DEFAULT_PREFILL_TOKENS,
    FIRST_SAVE_STEP,
    GUARANTEED_STEP_S,
    MAX_BACKGROUND_STEP_S,
    MAX_STEP_STRETCH,
    MIN_PREFILL_TOKENS,
    CostFile,
    Costs,
    PrefillBudget,
)
from homeport.engines.text.prompt_lookup import assumed_min_acceptance
from homeport.engines.text.scheduler import Scheduler
from tests.engines.text.simulation import Ask, Simulation, traits

SECONDS = st.floats(1e-5, 0.05)


def measured(decode: float, prefill: float, batch: int = 512) -> PrefillBudget:
    """Return a budget that observed steps of sixteen streams and of full prompt batches, at these seconds per token."""
    budget = PrefillBudget(batch)
    budget.observe(16, 0, 16 * decode)
    budget.observe(0, batch, batch * prefill)
    return budget


@given(SECONDS, SECONDS, st.integers(1, 64), st.integers(1, 64))
def test_running_streams_wait_a_bounded_time(decode: float, prefill: float, streams: int, prompts: int) -> None:
    """A step with prompts takes at most a factor of the streams' own step, or a time by the numbers of both."""
    n = measured(decode, prefill).tokens_for_step(streams, prompts)
    assert MIN_PREFILL_TOKENS <= n <= 512
    own = streams * decode
    assert (
        n == MIN_PREFILL_TOKENS
        or own + n * prefill <= max(MAX_STEP_STRETCH * own, GUARANTEED_STEP_S * (1 + prompts / streams)) * 1.001
    )


@given(st.floats(1e-3, 0.02), st.floats(1e-3, 0.02), st.floats(0.8, 1.25), st.integers(1, 16))
@example(0.01821, 0.009369635834898402, 1.0, 1)
@settings(max_examples=20, deadline=None)
def test_a_long_prompt_delays_sixteen_streams_by_a_bounded_factor(
    decode: float, prefill: float, drift: float, flows: int
) -> None:
    """With 4,000 prompt tokens and 16 streams, every step is within its bound, and the prompt gets done."""
    budget = PrefillBudget(512)
    budget.observe(16, 0, 16 * decode)
    budget.observe(0, 64, 64 * prefill)
    simulation = Simulation(traits(window=6_000, cells=50_000, sequences=32, batch=512))
    simulation.scheduler = Scheduler(simulation.cache, simulation.traits, prefill_budget=budget.tokens_for_step)
    for stream in range(16):
        simulation.ask(Ask([[stream] * 8], length=3_000, project=str(stream % flows)))
    while len(simulation.step().slices) < 16 or simulation.scheduler.counters.steps < 3:
        pass
    long = simulation.ask(Ask([[77] * 4_000], length=1, project="long"))
    usual = 16 * decode
    bound = max(3.0 * usual, GUARANTEED_STEP_S * (1 + 1 / 16) * 1.3, usual + MIN_PREFILL_TOKENS * prefill * drift)
    slices = 0
    while (long.id, 0, 0) not in simulation.answers:
        plan = simulation.step()
        assert len(plan.slices) == 17, "every stream and the prompt advance in every step"
        seconds = plan.decode * decode + plan.prompt * prefill * drift
        budget.observe(plan.decode, plan.prompt, seconds)
        assert seconds <= bound
        slices += 1
    assert 4_000 / 512 <= slices <= 4_000 / MIN_PREFILL_TOKENS + 1


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 600), st.floats(0, 5)), max_size=30), st.integers(0, 40))
def test_prompts_advance_whatever_was_measured(steps: list[tuple[int, int, float]], streams: int) -> None:
    """No measurement, however wrong, makes a step compute no prompt tokens or more than a batch."""
    budget = PrefillBudget(512)
    for decode, prefill, seconds in steps:
        budget.observe(decode, prefill, seconds)
    assert MIN_PREFILL_TOKENS <= budget.tokens_for_step(streams, 1) <= 512


def test_cheap_prompts_come_in_larger_slices() -> None:
    """If prompt tokens are cheaper, a step with the same streams computes more of them."""
    assert measured(0.007, 0.0005).tokens_for_step(16, 1) > measured(0.007, 0.004).tokens_for_step(16, 1)


def test_many_prompts_to_a_stream_come_in_larger_slices() -> None:
    """The more prompts there are per stream, the more prompt tokens a step computes."""
    budget = measured(0.007, 0.004)
    assert budget.tokens_for_step(4, 1) < budget.tokens_for_step(4, 12) < budget.tokens_for_step(4, 24)


def test_one_slow_step_does_not_change_the_budget_much() -> None:
    """A step that another program slowed down a hundredfold changes the budget by less than a factor of two."""
    budget = measured(0.007, 0.004)
    before = budget.tokens_for_step(16, 1)
    budget.observe(0, 512, 512 * 0.4)
    assert before / 2 < budget.tokens_for_step(16, 1) <= before


def test_steps_without_streams_have_the_smallest_cheap_size() -> None:
    """Without streams, a step is a whole batch until that is measured, then the smallest size within 5% of best."""
    budget = PrefillBudget(512)
    assert budget.tokens_for_step(0, 1) == 512
    budget.observe(0, 512, 512 * 0.004)
    budget.observe(0, 256, 256 * 0.0041)
    budget.observe(0, 128, 128 * 0.006)
    assert budget.tokens_for_step(0, 1) == 256


def test_a_fixed_slice_is_used() -> None:
    """A configured slice is used whatever steps cost."""
    budget = PrefillBudget(512, fixed=100)
    assert budget.tokens_for_step(16, 1) == 100
    budget.observe(16, 0, 10.0)
    budget.observe(0, 512, 1.0)
    assert budget.tokens_for_step(16, 1) == 100
    assert PrefillBudget(64, fixed=100).tokens_for_step(1, 1) == 64
    with pytest.raises(ValueError, match="makes no progress"):
        PrefillBudget(64, fixed=0)


def test_costs_survive_a_restart(tmp_path: Path) -> None:
    """Costs are stored after some steps and read again, for the same weights, kernels and threads only."""
    file = CostFile(tmp_path / "costs" / "tiny.json", "this machine")
    budget = PrefillBudget(512, costs=file.read(), save=file.write)
    assert budget.tokens_for_step(16, 1) == DEFAULT_PREFILL_TOKENS
    for _ in range(FIRST_SAVE_STEP // 2):
        budget.observe(16, 0, 16 * 0.007)
        budget.observe(0, 512, 512 * 0.004)
    again = PrefillBudget(512, costs=file.read())
    assert again.tokens_for_step(16, 1) == budget.tokens_for_step(16, 1) != DEFAULT_PREFILL_TOKENS
    other = CostFile(tmp_path / "costs" / "tiny.json", "another machine")
    assert other.read() == Costs("another machine")


def test_a_damaged_file_counts_as_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An unreadable file counts as empty, and a failed write is logged; neither is an error."""
    path = tmp_path / "tiny.json"
    path.write_bytes(b"{")
    assert CostFile(path, "here").read() == Costs("here")
    CostFile(path / "below.json", "here").write(Costs("here"))
    assert "cannot store step costs" in caplog.text


@given(st.floats(2e-3, 0.02), st.floats(1e-3, 0.04), st.integers(1, 64))
def test_the_minimum_acceptance_follows_the_measured_costs(stream: float, draft: float, streams: int) -> None:
    """The minimum acceptance is a draft token's cost relative to a stream token's, once both are measured."""
    budget = PrefillBudget(512)
    assert budget.min_acceptance(streams) == assumed_min_acceptance(streams)
    budget.observe(streams, 0, streams * stream)
    assert budget.min_acceptance(streams) == assumed_min_acceptance(streams)
    budget.observe(streams, 0, streams * stream + 8 * draft, drafted=8)
    assert budget.min_acceptance(streams) == pytest.approx(draft / stream)


def test_the_cost_of_drafts_decays() -> None:
    """One draft that seemed expensive while another program ran is forgotten over some thousand steps."""
    budget = PrefillBudget(512)
    budget.observe(4, 0, 4 * 0.005)
    budget.observe(4, 0, 4 * 0.005 + 8 * 0.02, drafted=8)
    assert budget.min_acceptance(4) > 1
    for _ in range(5_000):
        budget.observe(4, 0, 4 * 0.005)
    assert budget.min_acceptance(4) == pytest.approx(assumed_min_acceptance(4), rel=0.01)


def test_very_short_steps_are_not_used_to_measure_drafts() -> None:
    """If a step without drafts takes less than a millisecond, it is overhead and does not count."""
    budget = PrefillBudget(512)
    budget.observe(1, 0, 0.0001)
    budget.observe(1, 0, 0.01, drafted=2)
    assert budget.min_acceptance(1) == assumed_min_acceptance(1)


@given(SECONDS, SECONDS, st.integers(0, 16))
def test_background_steps_are_short(decode: float, prefill: float, streams: int) -> None:
    """A step of background requests is short, or has the minimum of prompt tokens."""
    n = measured(decode, prefill).background_tokens(streams)
    assert MIN_PREFILL_TOKENS <= n <= 512
    assert n == MIN_PREFILL_TOKENS or streams * decode + n * prefill <= MAX_BACKGROUND_STEP_S * 1.001
    assert MIN_PREFILL_TOKENS <= PrefillBudget(512).background_tokens(streams) <= DEFAULT_PREFILL_TOKENS
