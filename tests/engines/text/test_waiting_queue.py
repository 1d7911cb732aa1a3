"""Whose prompt is next, by properties: fair among flows, the shortest first within one, and nobody waits for ever."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from homeport.engines.text.scheduled_request import Candidate, ScheduledRequest
from homeport.engines.text.waiting_queue import WaitingQueue

Arrivals = list[tuple[int, int]]  # tokens served before it, length
ARRIVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 80)), min_size=1, max_size=25)


class QueueDriver:
    """Serves prompts `slice` tokens at a time, in the list's order; `finished` are the groups in order of their end."""

    def __init__(self) -> None:
        self.waiting = WaitingQueue()
        self.under_way: list[Candidate] = []
        self.served: list[tuple[int, int]] = []  # (group, tokens)
        self.finished: list[int] = []

    def arrive(self, number: int, flow: str, lengths: list[int]) -> None:
        """One request of prompts of these lengths."""
        group = ScheduledRequest(number, flow, flow, credit=1000)
        for prompt, length in enumerate(lengths):
            group.add_candidate(prompt, [0] * length)
        self.waiting.add(group)

    def serve(self, n: int) -> None:
        """Spend `n` tokens on whoever is next."""
        for one in list(self.waiting.in_order(self.under_way)):
            if n <= 0:
                return
            if one.slot is None:
                self.waiting.remove(one)
                one.slot = 0
                self.under_way.append(one)
            took = min(n, one.pending)
            n -= took
            one.computed += took
            self.waiting.charge(one.group.fair_share_key, took)
            self.served.append((one.group.id, took))
            if not one.pending:
                self.under_way.remove(one)
                self.finished.append(one.group.id)


@given(ARRIVALS, st.integers(1, 40))
def test_nobody_is_overtaken_for_ever(arrivals: Arrivals, slice: int) -> None:
    """Whoever comes after as much was computed as a prompt is long is not served before that prompt's end."""
    desk = QueueDriver()
    clocks = []
    for number, (before, length) in enumerate(arrivals):
        for _ in range(before // slice):
            desk.serve(slice)
        clocks.append(sum(took for _, took in desk.served))
        desk.arrive(number, "one", [length])
    while len(desk.waiting) or desk.under_way:
        desk.serve(slice)
    for number, (_, length) in enumerate(arrivals):
        end = max(place for place, (group, _) in enumerate(desk.served) if group == number)
        late = {other for other, clock in enumerate(clocks) if other > number and clock >= clocks[number] + length}
        assert late.isdisjoint(group for group, _ in desk.served[:end])


@given(st.lists(st.integers(1, 60), min_size=30, max_size=30), st.lists(st.integers(1, 60), min_size=30, max_size=30))
def test_two_busy_flows_get_equal_shares(one: list[int], two: list[int]) -> None:
    """While both have prompts waiting, neither gets a prompt's length more than the other, however these are sized."""
    desk = QueueDriver()
    desk.arrive(0, "one", one)
    desk.arrive(1, "two", two)
    shares: Counter[int] = Counter()
    while {candidate.group.id for candidate in desk.waiting} == {0, 1}:
        desk.serve(10)
        shares = Counter()
        for group, took in desk.served:
            shares[group] += took
        assert abs(shares[0] - shares[1]) <= 60 + 10
    assert shares


def test_a_short_prompt_overtakes_a_long_one_under_way() -> None:
    """A question of a few tokens is answered before the book that came first."""
    desk = QueueDriver()
    desk.arrive(0, "one", [4000])
    desk.serve(100)
    desk.arrive(1, "one", [20])
    desk.serve(100)
    assert desk.finished == [1]


def test_a_pause_earns_no_credit() -> None:
    """A flow that was away for long is not served alone until it has caught up."""
    desk = QueueDriver()
    desk.arrive(0, "busy", [50] * 40)
    for _ in range(20):
        desk.serve(50)
    desk.arrive(1, "back", [50] * 10)
    served = len(desk.served)
    for _ in range(8):
        desk.serve(50)
    groups = Counter(group for group, _ in desk.served[served:])
    assert groups[0] >= 3
    assert groups[1] >= 3


def test_those_who_leave_are_gone() -> None:
    """A request that ends takes all of its waiting candidates along."""
    waiting = WaitingQueue()
    groups = [ScheduledRequest(number, "one", "one", credit=1) for number in range(2)]
    for group in groups:
        group.add_candidate(0, [0] * 5)
        group.add_candidate(0, [0] * 5)
        waiting.add(group)
    waiting.remove_request(groups[0])
    assert [candidate.group.id for candidate in waiting] == [1, 1]
    assert len(waiting) == 2
