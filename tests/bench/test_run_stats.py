import math

import pytest

from bench.run_stats import (
    Outcome,
    Reply,
    gap,
    median,
    outcome,
    quantile,
    speed,
    ttft,
)


def _reply(stamps: dict[int, list[float]], ends: dict[int, str], usage: int, failure: str | None = None) -> Reply:
    return Reply(10.0, stamps=stamps, ends=ends, usage_tokens=usage, failure=failure)


def test_quantiles_are_interpolated() -> None:
    """A quantile between two samples lies between them; without samples it is no number."""
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([0.0, 10.0], 0.99) == pytest.approx(9.9)
    assert quantile([7.0], 0.99) == 7.0
    assert math.isnan(quantile([], 0.5))


def test_medians_pass_over_what_is_no_number() -> None:
    """One run without a figure does not spoil those of the others."""
    assert median([1.0, math.nan, 3.0, 5.0]) == 3.0
    assert math.isnan(median([math.nan]))


def test_tokens_of_several_choices_are_counted_though_usage_names_one() -> None:
    """A server that reports one choice's usage for two is credited with both, as both ended by their length."""
    both = _reply({0: [11.0], 1: [11.0]}, {0: "length", 1: "length"}, usage=8)
    assert both.tokens(n=2, wanted=8) == 16


@pytest.mark.parametrize(
    "reply",
    [
        _reply({0: [11.0]}, {0: "stop"}, usage=8),
        _reply({0: [11.0]}, {0: "length"}, usage=7),
        _reply({0: [11.0]}, {}, usage=8),
        _reply({0: [11.0]}, {0: "length"}, usage=8, failure="closed"),
    ],
    ids=["ended by itself", "too few by its usage", "cut off", "failed"],
)
def test_requests_without_all_their_tokens_count_as_errors(reply: Reply) -> None:
    """What is not proven to have been generated is not counted."""
    found = outcome([reply], n=1, wanted=8, wall_s=1.0, client_cpu_s=0.1)
    assert found.errors == 1
    assert found.output_tokens == 0
    assert found.ttft_s == found.gaps_s == []


def test_tokens_that_come_together_have_no_time_between_them() -> None:
    """Four tokens in two pieces a second apart are gaps of 1, 0 and 0: as many as tokens, less one."""
    found = outcome([_reply({0: [12.0, 13.0]}, {0: "length"}, usage=4)], n=1, wanted=4, wall_s=4.0, client_cpu_s=0.0)
    assert sorted(found.gaps_s) == [0.0, 0.0, 1.0]
    assert found.ttft_s == [2.0]
    assert found.deltas == 2
    assert found.tokens_per_s == 1.0


def test_gaps_within_a_time_are_those_that_ended_in_it() -> None:
    """A gap that began before an event and ended after it was felt because of it."""
    reply = _reply({0: [1.0, 2.0, 4.0, 4.5]}, {}, usage=0)
    assert reply.gaps_within(2.5, 4.0) == [2.0]


def test_cpu_per_token_is_unknown_where_it_was_not_measured() -> None:
    """A run that nobody counted CPU for does not look free."""
    run = Outcome(1.0, 100, 0, [], [])
    assert math.isnan(run.cpu_per_token_s)
    run.server_cpu_s = 0.002
    assert run.cpu_per_token_s == pytest.approx(20e-6)


def test_rounds_are_summed_up_by_their_median() -> None:
    """One slow round moves neither speed nor waiting."""
    runs = [Outcome(wall, 100, 0, [wall], [wall / 100] * 3) for wall in (1.0, 2.0, 50.0)]
    assert speed(runs) == 50.0
    assert ttft(runs) == 2.0
    assert gap(runs, 0.99) == 0.02
