"""Counts of prefixes."""

import pytest

from homeport.cluster import prefix_counts
from homeport.cluster.prefix_counts import MIN_REQUESTS, PrefixCounts


def test_shares_are_of_recent_requests() -> None:
    """A block's share follows what is asked: it falls when others are asked for."""
    counts = PrefixCounts()
    for number in range(2 * MIN_REQUESTS):
        counts.add([1, 2 if number % 2 else 3], MIN_REQUESTS)
    assert counts.share(1) == pytest.approx(1)
    assert counts.share(2) == pytest.approx(0.5, abs=0.01)
    for _ in range(6 * MIN_REQUESTS):
        counts.add([4], MIN_REQUESTS)
    assert counts.share(1) < 0.13
    assert counts.share(4) > 0.87


def test_few_requests_make_nothing_popular() -> None:
    """Shares are of at least the minimum of requests, so that the first requests do not look popular."""
    counts = PrefixCounts()
    counts.add([1], MIN_REQUESTS)
    assert (counts.share(1), counts.share(2)) == (1 / MIN_REQUESTS, 0)


def test_blocks_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least recently used blocks are forgotten, the last ones of a prompt first."""
    monkeypatch.setattr(prefix_counts, "MAX_BLOCKS", 4)
    counts = PrefixCounts()
    counts.add([1, 2, 3], MIN_REQUESTS)
    counts.add([4, 5], MIN_REQUESTS)
    assert [counts.share(block) > 0 for block in (1, 2, 3, 4, 5)] == [True, True, False, True, True]
