import math

import pytest

from bench.run_stats import Outcome, Reply, gap, median, outcome, quantile, speed, ttft


def _reply(stamps: dict[int, list[float]], ends: dict[int, str], usage: int, failure: str | None = None) -> Reply:
    return Reply(10.0, stamps=stamps, ends=ends, usage_tokens=usage, failure=failure)


def test_quantiles_are_interpolated() -> None:
    """A quantile between two samples is interpolated; without samples it is nan."""
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([0.0, 10.0], 0.99) == pytest.approx(9.9)
    assert quantile([7.0], 0.99) == 7.0
    assert math.isnan(quantile([], 0.5))


def test_medians_ignore_nan() -> None:
    """A run without a figure does not change the median of the others."""
    assert median([1.0, math.nan, 3.0, 5.0]) == 3.0
    assert math.isnan(median([math.nan]))


def test_tokens_of_all_choices_are_counted_if_usage_reports_one() -> None:
    """If usage reports one of two choices, both count, because both ended by length."""
    both = _reply({0: [11.0], 1: [11.0]}, {0: "length", 1: "length"}, usage=8)
    assert both.tokens(n=2, length=8) == 16


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
    """Tokens of an incomplete answer are not counted."""
    result = outcome([reply], n=1, length=8, wall_s=1.0, client_cpu_s=0.1)
    assert result.errors == 1
    assert result.output_tokens == 0
    assert result.ttft_s == result.gaps_s == []


def test_tokens_of_one_piece_have_gaps_of_0() -> None:
    """Four tokens in two pieces, a second apart, have gaps of 1, 0 and 0."""
    result = outcome([_reply({0: [12.0, 13.0]}, {0: "length"}, usage=4)], n=1, length=4, wall_s=4.0, client_cpu_s=0.0)
    assert sorted(result.gaps_s) == [0.0, 0.0, 1.0]
    assert result.ttft_s == [2.0]
    assert result.deltas == 2
    assert result.tokens_per_s == 1.0


def test_gaps_within_a_time_are_those_that_ended_in_it() -> None:
    """A gap that began before the period and ended within it counts."""
    reply = _reply({0: [1.0, 2.0, 4.0, 4.5]}, {}, usage=0)
    assert reply.gaps_within(2.5, 4.0) == [2.0]


def test_cpu_per_token_is_nan_if_not_measured() -> None:
    """Without a measured CPU time, CPU per token is nan, not 0."""
    run = Outcome(1.0, 100, 0, [], [])
    assert math.isnan(run.cpu_per_token_s)
    run.server_cpu_s = 0.002
    assert run.cpu_per_token_s == pytest.approx(20e-6)


def test_rounds_are_summed_up_by_their_median() -> None:
    """One slow round changes neither speed nor latency."""
    runs = [Outcome(wall, 100, 0, [wall], [wall / 100] * 3) for wall in (1.0, 2.0, 50.0)]
    assert speed(runs) == 50.0
    assert ttft(runs) == 2.0
    assert gap(runs, 0.99) == 0.02
