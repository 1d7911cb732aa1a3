"""How much prompt a step takes on, as the measured costs of steps say."""

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
    PrefillBudget,
)
from homeport.engines.text.prompt_lookup import assumed_min_acceptance
from homeport.engines.text.scheduler import Scheduler
from homeport.engines.text.step_costs import CostFile, Costs
from tests.engines.text.simulation import Ask, Simulation, traits

SECONDS = st.floats(1e-5, 0.05)


def measured(decode: float, prefill: float, batch: int = 512) -> PrefillBudget:
    """A pace that saw steps of sixteen streams and of whole batches of prompt, at these seconds per token."""
    pace = PrefillBudget(batch)
    pace.observe(16, 0, 16 * decode)
    pace.observe(0, batch, batch * prefill)
    return pace


@given(SECONDS, SECONDS, st.integers(1, 64), st.integers(1, 64))
def test_running_streams_wait_a_bounded_time(decode: float, prefill: float, streams: int, prompts: int) -> None:
    """A step with prompts takes so many times the streams' own step, or a time by how many wait for either."""
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
def test_a_long_prompt_holds_up_sixteen_streams_by_a_bounded_factor(
    decode: float, prefill: float, drift: float, flows: int
) -> None:
    """4,000 tokens beside 16 streams: no step takes three times the usual or a patience, and the prompt gets done."""
    pace = PrefillBudget(512)
    pace.observe(16, 0, 16 * decode)
    pace.observe(0, 64, 64 * prefill)
    simulation = Simulation(traits(window=6_000, cells=50_000, sequences=32, batch=512))
    simulation.scheduler = Scheduler(simulation.cache, simulation.traits, pace=pace.tokens_for_step)
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
        assert len(plan.slices) == 17, "every stream advances in every step, and the prompt"
        took = plan.decode * decode + plan.prompt * prefill * drift
        pace.observe(plan.decode, plan.prompt, took)
        assert took <= bound
        slices += 1
    assert 4_000 / 512 <= slices <= 4_000 / MIN_PREFILL_TOKENS + 1


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 600), st.floats(0, 5)), max_size=30), st.integers(0, 40))
def test_whatever_was_measured_prompts_go_on(steps: list[tuple[int, int, float]], streams: int) -> None:
    """No measurement, not even nonsense, makes a step take no prompt or more than a batch of it."""
    pace = PrefillBudget(512)
    for decode, prefill, seconds in steps:
        pace.observe(decode, prefill, seconds)
    assert MIN_PREFILL_TOKENS <= pace.tokens_for_step(streams, 1) <= 512


def test_cheap_prompts_come_in_larger_slices() -> None:
    """Where a prompt token costs less, a step beside the same streams takes more of them."""
    assert measured(0.007, 0.0005).tokens_for_step(16, 1) > measured(0.007, 0.004).tokens_for_step(16, 1)


def test_many_prompts_to_a_stream_come_in_larger_slices() -> None:
    """The more callers wait for a prompt to each that reads a stream, the more of a step prompts get."""
    pace = measured(0.007, 0.004)
    assert pace.tokens_for_step(4, 1) < pace.tokens_for_step(4, 12) < pace.tokens_for_step(4, 24)


def test_one_slow_step_does_not_change_the_pace_much() -> None:
    """A step that another program held up a hundredfold moves the estimate by less than a factor of two."""
    pace = measured(0.007, 0.004)
    before = pace.tokens_for_step(16, 1)
    pace.observe(0, 512, 512 * 0.4)
    assert before / 2 < pace.tokens_for_step(16, 1) <= before


def test_prompts_alone_go_in_the_smallest_steps_that_cost_no_more() -> None:
    """With nobody waiting, a whole batch until that was measured; then the smallest size within a twentieth of best."""
    pace = PrefillBudget(512)
    assert pace.tokens_for_step(0, 1) == 512
    pace.observe(0, 512, 512 * 0.004)
    pace.observe(0, 256, 256 * 0.0041)
    pace.observe(0, 128, 128 * 0.006)
    assert pace.tokens_for_step(0, 1) == 256


def test_a_fixed_slice_is_not_learnt() -> None:
    """What the operator set is taken, whatever steps cost."""
    pace = PrefillBudget(512, fixed=100)
    assert pace.tokens_for_step(16, 1) == 100
    pace.observe(16, 0, 10.0)
    pace.observe(0, 512, 1.0)
    assert pace.tokens_for_step(16, 1) == 100
    assert PrefillBudget(64, fixed=100).tokens_for_step(1, 1) == 64
    with pytest.raises(ValueError, match="never ends"):
        PrefillBudget(64, fixed=0)


def test_costs_survive_a_restart(tmp_path: Path) -> None:
    """What was learnt is kept after some steps and read again, for the same weights, kernels and threads only."""
    file = CostFile(tmp_path / "costs" / "tiny.json", "this machine")
    pace = PrefillBudget(512, costs=file.read(), keep=file.write)
    assert pace.tokens_for_step(16, 1) == DEFAULT_PREFILL_TOKENS
    for _ in range(FIRST_SAVE_STEP // 2):
        pace.observe(16, 0, 16 * 0.007)
        pace.observe(0, 512, 512 * 0.004)
    again = PrefillBudget(512, costs=file.read())
    assert again.tokens_for_step(16, 1) == pace.tokens_for_step(16, 1) != DEFAULT_PREFILL_TOKENS
    other = CostFile(tmp_path / "costs" / "tiny.json", "another machine")
    assert other.read() == Costs("another machine")


def test_a_broken_file_counts_as_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that cannot be read is no costs, one that cannot be written is a line in the log, and neither an error."""
    path = tmp_path / "tiny.json"
    path.write_bytes(b"{")
    assert CostFile(path, "here").read() == Costs("here")
    CostFile(path / "below.json", "here").write(Costs("here"))
    assert "cannot be kept" in caplog.text


@given(st.floats(2e-3, 0.02), st.floats(1e-3, 0.04), st.integers(1, 64))
def test_a_guess_pays_by_what_it_was_measured_to_add(stream: float, guess: float, streams: int) -> None:
    """A guess must come true as often as its own cost is to that of a stream's token, once both are known."""
    pace = PrefillBudget(512)
    assert pace.min_acceptance(streams) == assumed_min_acceptance(streams)
    pace.observe(streams, 0, streams * stream)
    assert pace.min_acceptance(streams) == assumed_min_acceptance(streams)
    pace.observe(streams, 0, streams * stream + 8 * guess, drafted=8)
    assert pace.min_acceptance(streams) == pytest.approx(guess / stream)


def test_guesses_that_did_not_pay_are_tried_again_after_a_while() -> None:
    """One guess that seemed dear, while another program had the machine, is forgotten over some thousand steps."""
    pace = PrefillBudget(512)
    pace.observe(4, 0, 4 * 0.005)
    pace.observe(4, 0, 4 * 0.005 + 8 * 0.02, drafted=8)
    assert pace.min_acceptance(4) > 1
    for _ in range(5_000):
        pace.observe(4, 0, 4 * 0.005)
    assert pace.min_acceptance(4) == pytest.approx(assumed_min_acceptance(4), rel=0.01)


def test_steps_too_short_to_measure_teach_nothing_of_guesses() -> None:
    """Where a step without guesses takes under a millisecond, that is overhead, and guesses stay worth it."""
    pace = PrefillBudget(512)
    pace.observe(1, 0, 0.0001)
    pace.observe(1, 0, 0.01, drafted=2)
    assert pace.min_acceptance(1) == assumed_min_acceptance(1)


@given(SECONDS, SECONDS, st.integers(0, 16))
def test_a_step_that_nobody_waits_for_is_short(decode: float, prefill: float, streams: int) -> None:
    """Who comes while background work is done waits for a short step, or for the fewest tokens that make sense."""
    n = measured(decode, prefill).background_tokens(streams)
    assert MIN_PREFILL_TOKENS <= n <= 512
    assert n == MIN_PREFILL_TOKENS or streams * decode + n * prefill <= MAX_BACKGROUND_STEP_S * 1.001
    assert MIN_PREFILL_TOKENS <= PrefillBudget(512).background_tokens(streams) <= DEFAULT_PREFILL_TOKENS
