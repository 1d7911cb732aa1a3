"""Consistent hashing."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from homeport.cluster.hash_ring import POINTS, HashRing
from homeport.cluster.hashing import mixed

NAMES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=12, unique=True)
KEYS = st.integers(0, 2**64 - 1)


def _ring(names: list[str]) -> HashRing:
    ring = HashRing()
    for name in names:
        ring.add(name)
    return ring


@given(NAMES, KEYS)
def test_a_key_orders_all_replicas(names: list[str], key: int) -> None:
    """All replicas appear once in a key's order, and fewer are its beginning."""
    order = _ring(names).first(key, len(names) + 1)
    assert sorted(order) == sorted(names)
    assert [_ring(names).first(key, count + 1) for count in range(3)] == [order[: count + 1] for count in range(3)]


@given(NAMES, KEYS, st.randoms())
def test_rings_of_the_same_replicas_are_equal(names: list[str], key: int, source: object) -> None:
    """The order does not depend on how the ring was made: on the sequence of additions, and on replicas that left."""
    other = _ring(["gone", *sorted(names), *names])
    if "gone" not in names:
        other.remove("gone")
    other.remove("never there")
    assert len(other) == len(names)
    assert other.first(key, 12) == _ring(names).first(key, 12)


@given(NAMES, KEYS)
def test_a_replica_that_leaves_changes_nothing_else(names: list[str], key: int) -> None:
    """Without a replica, the others have the same order: removed or excluded."""
    ring = _ring(names)
    left = [name for name in ring.first(key, 12) if name != names[0]]
    assert ring.first(key, 12, {names[0]}) == left
    ranked = [name for name in ring.ranked(key, names) if name != names[0]]
    assert ring.ranked(key, names[1:]) == ranked
    ring.remove(names[0])
    assert names[0] not in ring
    assert ring.first(key, 12) == left


def test_a_replica_with_fewer_points_is_first_for_fewer_keys() -> None:
    """A replica gets keys as it gets points, and only from those that had them: with all points, its share."""
    names = [f"replica-{number}" for number in range(4)]
    keys = [mixed(number, 0) for number in range(2000)]
    ring = _ring(names[1:])
    firsts = [[ring.first(key, 1)[0] for key in keys]]
    for points in (4, 32, POINTS, POINTS):
        ring.add(names[0], points)
        firsts.append([ring.first(key, 1)[0] for key in keys])
        assert all(new in {old, names[0]} for old, new in zip(*firsts[-2:], strict=True))
    counts = [each.count(names[0]) for each in firsts]
    assert counts[0] == 0 < counts[1] < counts[2] < counts[3] == counts[4]
    assert firsts[-1] == [_ring(names).first(key, 1)[0] for key in keys]


def test_keys_are_spread() -> None:
    """Each of 20 replicas is the first for roughly a twentieth of the keys, on the ring and by rank."""
    names = [f"replica-{number}" for number in range(20)]
    ring = _ring(names)
    keys = [mixed(number, 0) for number in range(4000)]
    for firsts in (Counter(ring.first(key, 1)[0] for key in keys), Counter(ring.ranked(key, names)[0] for key in keys)):
        assert set(firsts) == set(names)
        assert 80 < min(firsts.values()) <= max(firsts.values()) < 400
