"""Which models go."""

from hypothesis import given
from hypothesis import strategies as st

from homeport.serving.pool.eviction import EvictionCandidate, choose_victims, format_size

_sizes = st.integers(0, 100)
_occupants = st.lists(
    st.builds(EvictionCandidate, st.uuids().map(str), _sizes, st.integers(0, 2), st.floats(0, 1e6)),
    max_size=6,
    unique_by=lambda occupant: occupant.name,
)


@given(_sizes, _sizes, _occupants, st.booleans())
def test_room_is_made_by_those_that_may_go(
    budget: int, needed: int, occupants: list[EvictionCandidate], also_used: bool
) -> None:
    """Unless told, nothing used goes; room is enough and none too many go; else no room could be made."""
    may_go = [each for each in occupants if also_used or not each.users]
    total = sum(each.size_bytes for each in occupants) + needed
    going = choose_victims(budget, needed, occupants, also_used=also_used)
    if going is None:
        assert total - sum(each.size_bytes for each in may_go) > budget
        return
    by_name = {each.name: each for each in may_go}
    gone = [by_name[name] for name in going]
    assert total - sum(each.size_bytes for each in gone) <= budget
    assert not gone or total - sum(each.size_bytes for each in gone[:-1]) > budget
    order = [(each.users > 0, each.used_at) for each in gone]
    assert order == sorted(order)
    rest = [(each.users > 0, each.used_at) for each in may_go if each.name not in going]
    assert not order or all(each >= order[-1] for each in rest)


def test_sizes_in_words() -> None:
    """Sizes are told in the unit people read."""
    assert format_size(1_500_000_000) == "1.50 GB"
    assert format_size(1_500_000) == "1.50 MB"
