"""Percentiles that are estimated from counts of durations."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.api.durations import NARROW_BOUNDS, DurationCounts, merge_bounds, percentile


@given(st.lists(st.floats(0.00101, 900), min_size=1, max_size=60), st.sampled_from([0.5, 0.95]))
def test_a_percentile_is_a_tenth_off_at_most(durations: list[float], share: float) -> None:
    """An estimate lies between the bounds of the bucket of the exact value, which are a tenth apart."""
    counts = DurationCounts()
    for duration in durations:
        counts.add(duration)
    exact = sorted(durations)[max(0, math.ceil(share * len(durations)) - 1)]
    found = percentile(NARROW_BOUNDS, counts.counts, share)
    assert found is not None
    assert exact / 1.1001 <= found <= exact * 1.1001


def test_without_durations_there_is_no_percentile() -> None:
    """Counts of nothing have no percentile, and durations above all bounds count as the highest one."""
    assert percentile(NARROW_BOUNDS, DurationCounts().counts, 0.5) is None
    endless = DurationCounts()
    endless.add(1e9, 3)
    assert percentile(NARROW_BOUNDS, endless.counts, 0.5) == NARROW_BOUNDS[-1]


def test_equal_durations_are_counted_together() -> None:
    """A duration with a number counts as often, in the percentile and in the sum."""
    counts = DurationCounts()
    counts.add(0.02, 99)
    counts.add(5.0)
    assert percentile(NARROW_BOUNDS, counts.counts, 0.5) == pytest.approx(0.02, rel=0.1)
    assert counts.sum_s == pytest.approx(math.fsum([0.02] * 99 + [5.0]))


def test_other_bounds_are_added_exactly() -> None:
    """Bounds that are merged are among the result, which still ascends."""
    merged = merge_bounds((0.0123, 7.0))
    assert {0.0123, 7.0} <= set(merged)
    assert list(merged) == sorted(set(merged))
