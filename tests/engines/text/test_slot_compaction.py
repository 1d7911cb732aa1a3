"""Slots are chosen and moved so that active ones are adjacent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.engines.text.kv_cache import KVCache
from homeport.engines.text.slot_compaction import choose_slot, find_slot_move
from tests.engines.text.fake_executor import FakeExecutor
from tests.engines.text.simulation import traits

IDS = st.sets(st.integers(0, 31))


def runs(ids: set[int]) -> int:
    """Return the number of runs of adjacent ids."""
    return sum(id - 1 not in ids for id in ids)


@given(IDS, IDS)
def test_the_chosen_id_is_vacant_and_adjacent_if_possible(active: set[int], idle: set[int]) -> None:
    """The chosen id is vacant, and next to an active one if a vacant id is."""
    idle -= active
    free = set(range(32)) - active - idle
    chosen = choose_slot(active, free, idle)
    if not free | idle:
        assert chosen is None
        return
    assert chosen in free | idle
    assert runs(active | {chosen}) <= max(1, runs(active))


def test_free_ids_come_before_idle_ones() -> None:
    """Of two equally good ids, the free one is chosen."""
    assert choose_slot({3}, {4}, {2}) == 4
    assert choose_slot(set(), {9}, {0}) == 9
    assert choose_slot({3, 5}, {6}, {4}) == 4


@given(IDS)
def test_moves_end_in_one_run(active: set[int]) -> None:
    """Moving ids one by one ends with all in one run, in at most as many moves as there are ids."""
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
def test_adjacent_ids_stay(active: set[int]) -> None:
    """Nothing moves if all ids are adjacent."""
    assert find_slot_move(active, set(range(8)) - active) is None


def test_an_empty_sequence_moves_too() -> None:
    """A sequence without computed tokens is moved next to others although there is nothing to copy."""
    cache = KVCache(FakeExecutor(traits(shares_cells=False)))
    ids = [cache.allocate("", None) for _ in range(4)]
    assert ids == [0, 1, 2, 3]
    cache.drop([2])
    assert cache.compact() == (3, 2)
    cache.check_integrity()


@given(IDS, IDS)
def test_a_new_kind_is_placed_apart_if_possible(active: set[int], others: set[int]) -> None:
    """An id without neighbors of its kind is far from those of other kinds, so that both have room to grow."""
    active -= others
    free = set(range(32)) - active - others
    chosen = choose_slot(active, free, set(), others)
    if not free:
        assert chosen is None
        return
    assert chosen is not None
    distances = {id: min((abs(id - other) for other in others), default=0) for id in free}
    adjacent = {id for id in free if id - 1 in active or id + 1 in active}
    assert chosen in adjacent if adjacent else distances[chosen] == max(distances.values())


def test_each_kind_is_adjacent() -> None:
    """Sequences of two kinds that are never computed together end in two runs, each of one kind."""
    cache = KVCache(FakeExecutor(traits(shares_cells=False, sequences=16)), kind=lambda name: name)
    ids = {cache.allocate(name, None): name for name in ("red", "blue") * 4}
    for kind in ("red", "blue"):
        assert runs({id for id, name in ids.items() if id is not None and name == kind}) == 1
