"""Counting leases."""

from hypothesis import given
from hypothesis import strategies as st

from homeport.serving.pool.leases import Lease, LeaseCounter


@given(st.lists(st.tuples(st.booleans(), st.integers(0))))
def test_count_is_live_leases(moves: list[tuple[bool, int]]) -> None:
    """In any order the count is the live leases; idle time runs without leases."""
    now, freed = 0.0, 0
    last = 0.0

    def on_free() -> None:
        nonlocal freed
        freed += 1

    users = LeaseCounter(on_free, clock=lambda: now)
    leases: list[Lease] = []
    live: set[int] = set()
    expected_freed = 0
    for takes, which in moves:
        now += 1.0
        if takes:
            live.add(len(leases))
            leases.append(users.acquire())
        elif leases:
            index = which % len(leases)
            if index in live:
                live.discard(index)
                last = now
                expected_freed += not live
            leases[index].release()
        assert users.count == len(live)
        assert freed == expected_freed
        assert users.idle_s == (0.0 if live else now - last)
        assert users.used_at == (now if live else last)
