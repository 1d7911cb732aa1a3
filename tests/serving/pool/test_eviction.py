"""Which models are evicted."""

from hypothesis import given
from hypothesis import strategies as st

from homeport.serving.pool.eviction import EvictionCandidate, choose_victims, format_size

_sizes = st.integers(0, 100)
_candidates = st.lists(
    st.builds(EvictionCandidate, st.uuids().map(str), _sizes, st.integers(0, 2), st.floats(0, 1e6)),
    max_size=6,
    unique_by=lambda candidate: candidate.name,
)


@given(_sizes, _sizes, _candidates, st.booleans())
def test_just_enough_candidates_are_evicted(
    budget: int, needed: int, candidates: list[EvictionCandidate], also_used: bool
) -> None:
    """By default no used model is evicted; just enough are, or no room could be made."""
    evictable = [each for each in candidates if also_used or not each.n_leases]
    total = sum(each.size_bytes for each in candidates) + needed
    victims = choose_victims(budget, needed, candidates, also_used=also_used)
    if victims is None:
        assert total - sum(each.size_bytes for each in evictable) > budget
        return
    by_name = {each.name: each for each in evictable}
    evicted = [by_name[name] for name in victims]
    assert total - sum(each.size_bytes for each in evicted) <= budget
    assert not evicted or total - sum(each.size_bytes for each in evicted[:-1]) > budget
    order = [(each.n_leases > 0, each.used_at) for each in evicted]
    assert order == sorted(order)
    rest = [(each.n_leases > 0, each.used_at) for each in evictable if each.name not in victims]
    assert not order or all(each >= order[-1] for each in rest)


def test_sizes_as_text() -> None:
    """Sizes have a readable unit."""
    assert format_size(1_500_000_000) == "1.50 GB"
    assert format_size(1_500_000) == "1.50 MB"
