"""Which ids are taken and moved so that those in use adjoin, by properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.engines.text.kv_cache import KVCache
from homeport.engines.text.slot_placement import choose_slot, find_slot_move
from tests.engines.text.fake_executor import FakeExecutor
from tests.engines.text.simulation import traits

IDS = st.sets(st.integers(0, 31))


def runs(ids: set[int]) -> int:
    """How many runs of adjoining ids there are."""
    return sum(id - 1 not in ids for id in ids)


@given(IDS, IDS)
def test_seat_is_vacant_and_beside_others_where_it_can(active: set[int], idle: set[int]) -> None:
    """The seat is never one in use, and it opens no new run where a vacant id adjoins one."""
    idle -= active
    free = set(range(32)) - active - idle
    found = choose_slot(active, free, idle)
    if not free | idle:
        assert found is None
        return
    assert found in free | idle
    assert runs(active | {found}) <= max(1, runs(active))


def test_free_seats_go_before_idle_ones() -> None:
    """Of two seats as good, the free one is taken."""
    assert choose_slot({3}, {4}, {2}) == 4
    assert choose_slot(set(), {9}, {0}) == 9
    assert choose_slot({3, 5}, {6}, {4}) == 4


@given(IDS)
def test_stragglers_come_together(active: set[int]) -> None:
    """Moving stragglers one by one ends with all in one run, in no more moves than there are ids."""
    count = len(active)
    for _ in range(count):
        move = find_slot_move(active, set(range(32)) - active)
        if move is None:
            break
        assert move[0] in active
        assert move[1] not in active
        active = active - {move[0]} | {move[1]}
    assert len(active) == count
    assert runs(active) <= 1


@pytest.mark.parametrize("active", [set(), {5}, {0, 1, 2}])
def test_adjoining_ids_stay(active: set[int]) -> None:
    """Nothing moves where nothing is apart."""
    assert find_slot_move(active, set(range(8)) - active) is None


def test_a_sequence_that_holds_nothing_yet_moves_too() -> None:
    """Begun and not yet computed, a sequence comes beside the others although there is nothing to copy."""
    cache = KVCache(FakeExecutor(traits(shares_cells=False)))
    ids = [cache.allocate("", None) for _ in range(4)]
    assert ids == [0, 1, 2, 3]
    cache.drop([2])
    assert cache.compact() == (3, 2)
    cache.check_integrity()


@given(IDS, IDS)
def test_a_new_kind_sits_apart_where_it_can(active: set[int], others: set[int]) -> None:
    """Whoever has no neighbours of its kind sits far from those of another, which then both have room to grow."""
    active -= others
    free = set(range(32)) - active - others
    found = choose_slot(active, free, set(), others)
    if not free:
        assert found is None
        return
    assert found is not None
    distances = {id: min((abs(id - other) for other in others), default=0) for id in free}
    beside = {id for id in free if id - 1 in active or id + 1 in active}
    assert found in beside if beside else distances[found] == max(distances.values())


def test_each_kind_comes_together() -> None:
    """Sequences of two kinds that never step together end in two runs, each of one kind."""
    cache = KVCache(FakeExecutor(traits(shares_cells=False, sequences=16)), kind=lambda name: name)
    ids = {cache.allocate(name, None): name for name in ("red", "blue") * 4}
    for kind in ("red", "blue"):
        assert runs({id for id, name in ids.items() if id is not None and name == kind}) == 1
