"""The routing policy."""

from collections import Counter, deque
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.cluster.hashing import mixed
from homeport.cluster.prefix_counts import MIN_REQUESTS
from homeport.cluster.replica_loads import ReplicaLoads
from homeport.cluster.routing import PrefixRouter, RoutingCosts

REPLICAS = st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=12, unique=True)
BLOCKS = st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=20, unique=True)
COSTS = RoutingCosts()


def _router(replicas: Iterable[str]) -> PrefixRouter:
    router = PrefixRouter()
    for each in replicas:
        router.add(each)
    return router


def _names(count: int) -> list[str]:
    return [f"replica-{number}" for number in range(count)]


def _conversation(number: int, turn: int, prefix: int = 0) -> list[int]:
    """Return the blocks of a turn of a conversation: four that it may share, and two of its own for each turn."""
    shared = [mixed(prefix, block) for block in range(4)]
    return shared + [mixed(mixed(prefix, number + 1), block) for block in range(2 * turn + 2)]


@settings(max_examples=40)
@given(REPLICAS, BLOCKS, BLOCKS)
def test_turns_of_a_conversation_go_to_one_replica(replicas: list[str], blocks: list[int], more: list[int]) -> None:
    """Whatever follows the same beginning goes to the same replica, through any gateway, while loads are equal."""
    loads = dict.fromkeys(replicas, 3)
    first, second = _router(replicas), _router(reversed(replicas))
    chosen = first.choose(blocks, loads)
    assert chosen in replicas
    assert {router.choose(blocks + more, loads) for router in (first, second)} == {chosen}
    assert {router.choose(blocks, loads) for router in (first, second)} == {chosen}


@settings(max_examples=40)
@given(REPLICAS, BLOCKS)
def test_a_loaded_replica_is_left_for_another_one(replicas: list[str], blocks: list[int]) -> None:
    """A replica keeps its prefix while its load costs less than the prefix, and no longer."""
    primary = _router(replicas).choose(blocks, dict.fromkeys(replicas, 0))
    assert primary is not None
    bound = (len(blocks) - 1) * COSTS.block_tokens // COSTS.ongoing_tokens
    assert bound <= COSTS.slots
    within, beyond = dict.fromkeys(replicas, 0), dict.fromkeys(replicas, 0)
    within[primary], beyond[primary] = bound, bound + 1
    assert _router(replicas).choose(blocks, within) == primary
    assert _router(replicas).choose(blocks, beyond) != primary


@settings(max_examples=40)
@given(REPLICAS, st.lists(BLOCKS, min_size=1, max_size=6))
def test_a_replica_that_leaves_moves_only_its_own_prompts(replicas: list[str], prompts: list[list[int]]) -> None:
    """Without a replica, the prompts of all others go where they went before."""
    loads = dict.fromkeys(replicas, 0)
    before = [_router(replicas).choose(blocks, loads) for blocks in prompts]
    for blocks, chosen in zip(prompts, before, strict=True):
        after = _router(replicas[1:]).choose(blocks, loads)
        assert after == chosen if chosen != replicas[0] else after in replicas[1:]
        assert _router(replicas).choose(blocks, loads, {replicas[0]}) == after


@settings(max_examples=40)
@given(REPLICAS, st.lists(BLOCKS, max_size=6))
def test_a_removed_replica_is_not_chosen(replicas: list[str], prompts: list[list[int]]) -> None:
    """A replica that is removed or excluded is not chosen, also for prompts that were sent to it."""
    loads = dict.fromkeys(replicas, 0)
    router = _router(replicas)
    for blocks in prompts:
        gone = router.choose(blocks, loads)
        assert gone is not None
        assert router.choose(blocks, loads, {gone}) not in {gone, None}
        assert router.choose([], loads, {gone}) not in {gone, None}
        assert router.choose(blocks, loads, set(replicas)) is None
        assert router.choose([], loads, set(replicas)) is None
        router.remove(gone)
        assert router.choose(blocks, loads) not in {gone, None}
        router.add(gone)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 12), st.integers(0, 2**32))
def test_no_replica_starves(count: int, seed: int) -> None:
    """Each replica gets its share of requests with many prefixes, and of requests with one prefix."""
    for prefixes in (400, 1):
        chosen = Counter(_serve(_names(count), [_conversation(each, 0, seed + each % prefixes) for each in range(400)]))
        assert set(chosen) == set(_names(count))
        assert min(chosen.values()) > 400 / count / 4


def test_choices_follow_from_the_requests() -> None:
    """The same requests get the same replicas again."""
    prompts = [_conversation(number % 50, number // 50, number % 7) for number in range(300)]
    assert _serve(_names(5), prompts) == _serve(_names(5), prompts)


def test_a_popular_prefix_gets_several_replicas_and_its_conversations_stay() -> None:
    """A prefix of half the requests occupies many replicas, and each of its conversations one of them."""
    router, loads = _router(_names(16)), dict.fromkeys(_names(16), 0)
    for number in range(2 * MIN_REQUESTS):
        router.choose(_conversation(number, 0, number % 2 * number), loads)
    chosen = [{router.choose(_conversation(-number, turn), loads) for turn in range(4)} for number in range(2, 60)]
    assert all(len(each) == 1 for each in chosen)
    assert len(set.union(*chosen)) >= 8


def test_an_unpopular_prefix_stays_on_one_replica() -> None:
    """The conversations of a prefix with few requests share a replica, although they differ after it."""
    router, loads = _router(_names(16)), dict.fromkeys(_names(16), 0)
    assert len({router.choose(_conversation(number, 0), loads) for number in range(20)}) == 1


def test_a_conversation_that_was_sent_elsewhere_continues_there() -> None:
    """If the primary of a conversation is as loaded as when it was left, the next turn goes where the last one went."""
    router, loads = _router(_names(4)), dict.fromkeys(_names(4), 0)
    primary = router.choose(_conversation(1, 0), loads)
    loads |= {primary or "": 16}
    other = router.choose(_conversation(1, 1), loads)
    assert other != primary
    assert router.choose(_conversation(1, 2), loads) == other


def test_a_replica_that_joins_takes_over_gradually() -> None:
    """A replica that joins others in use gets few of their prefixes at first, and its share after many requests."""
    router, loads = _router(_names(3)), dict.fromkeys(_names(4), 0)
    for number in range(20):
        router.choose(_conversation(0, 0, number), loads)
    router.add("replica-3")

    def count(seed: int) -> int:
        prompts = ([mixed(number, seed)] for number in range(500))
        return sum(router.choose(blocks, loads) == "replica-3" for blocks in prompts)

    counts = [count(seed) for seed in range(6)]
    assert counts[0] < 60
    assert counts[0] < counts[3] < counts[5]
    assert counts[5] > 90
    router.remove("replica-3")
    assert count(6) == 0


def test_requests_without_a_prompt_go_to_the_least_loaded_replica() -> None:
    """A request without blocks goes to the replica with the fewest requests, and to none if there is no replica."""
    assert _router("abc").choose([], {"a": 2, "b": 1, "c": 2}) == "b"
    assert PrefixRouter().choose([], {}) is None
    assert PrefixRouter().choose([1], {}) is None


def _serve(replicas: list[str], prompts: Iterable[list[int]]) -> list[str]:
    """Return the replicas chosen for the prompts, of which a few at a time are ongoing."""
    router, loads = _router(replicas), ReplicaLoads()
    ongoing: deque[str] = deque()
    chosen = []
    for blocks in prompts:
        replica = router.choose(blocks, loads)
        assert replica is not None
        loads.sent(replica)
        ongoing.append(replica)
        chosen.append(replica)
        if len(ongoing) > 4 * len(replicas):
            loads.finished(ongoing.popleft())
    return chosen
