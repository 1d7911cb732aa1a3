"""How keys share a queue."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.serving.queue_shares import RECENT_S, QueueShares
from tests.fake_clock import FakeClock


def fill(shares: QueueShares, holder: str) -> int:
    """Take every place that a holder gets."""
    taken = 0
    while shares.acquire(holder):
        taken += 1
    return taken


@given(st.integers(1, 200))
def test_alone_a_key_has_every_place(places: int) -> None:
    """If no other key has asked, nothing is reserved."""
    assert fill(QueueShares(places), "a") == places


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.floats(0, 400)), max_size=200),
)
def test_places_are_counted_and_never_overrun(places: int, moves: list[tuple[str, bool, float]]) -> None:
    """In any order the count is exact and within the places; a holder without a place gets a free one."""
    clock = FakeClock()
    shares, held = QueueShares(places, clock), Counter[str]()
    for holder, enters, passed_s in moves:
        clock.now += passed_s
        if enters:
            is_free, had = held.total() < places, held[holder]
            is_in = shares.acquire(holder)
            assert is_free or not is_in
            assert is_in or had or not is_free
            held[holder] += is_in
        elif held[holder]:
            shares.release(holder)
            held[holder] -= 1
        assert shares.taken == held.total() <= places


@given(st.integers(4, 200), st.integers(1, 6))
def test_a_flood_of_one_key_leaves_room_for_others(places: int, n_others: int) -> None:
    """Once others have asked, one key's flood leaves a quarter of the places to those below their share."""
    shares = QueueShares(places)
    assert fill(shares, "flood") == places
    others = [f"other{n}" for n in range(n_others)]
    for other in others:
        assert not shares.acquire(other)  # refused, but counted: the next free place is reserved for it
    for _ in range(places // 4):
        shares.release("flood")
        assert not shares.acquire("flood") or places // (n_others + 1) >= shares.taken
    for at in range(min(places // 4, n_others)):
        assert shares.acquire(others[at])


def test_a_holder_that_has_not_asked_recently_is_forgotten() -> None:
    """Ten minutes after another key's last request one key may take every place again."""
    clock = FakeClock()
    shares = QueueShares(8, clock)
    assert shares.acquire("b")
    shares.release("b")
    assert fill(shares, "a") == 6
    clock.now += RECENT_S + 1
    assert fill(shares, "a") == 2


@pytest.mark.parametrize("places", [1, 2, 3])
def test_small_queues_reserve_no_place(places: int) -> None:
    """Below four places no quarter is reserved: first come, first served."""
    shares = QueueShares(places)
    assert fill(shares, "b") == places
    for _ in range(places):
        shares.release("b")
    assert fill(shares, "a") == places
