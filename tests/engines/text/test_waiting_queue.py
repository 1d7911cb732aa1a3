"""Which prompt is next: fair among flows, the shortest first within one, and none waits forever."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from homeport.engines.text.scheduled_request import Candidate, ScheduledRequest
from homeport.engines.text.waiting_queue import WaitingQueue

Arrivals = list[tuple[int, int]]  # tokens served before it, length
ARRIVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 80)), min_size=1, max_size=25)


class QueueDriver:
    """Computes prompts `slice` tokens at a time in queue order; `finished`: the requests in order of their end."""

    def __init__(self) -> None:
        self.waiting = WaitingQueue()
        self.running: list[Candidate] = []
        self.served: list[tuple[int, int]] = []  # (request, tokens)
        self.finished: list[int] = []

    def arrive(self, number: int, flow: str, lengths: list[int]) -> None:
        """Add one request with prompts of these lengths."""
        request = ScheduledRequest(number, flow, flow, credit=1000)
        for prompt, length in enumerate(lengths):
            request.add_candidate(prompt, [0] * length)
        self.waiting.add(request)

    def serve(self, n: int) -> None:
        """Spend `n` tokens on the next prompts."""
        for one in list(self.waiting.in_order(self.running)):
            if n <= 0:
                return
            if one.slot is None:
                self.waiting.remove(one)
                one.slot = 0
                self.running.append(one)
            n_tokens = min(n, one.pending)
            n -= n_tokens
            one.computed += n_tokens
            self.waiting.charge(one.request.fair_share_key, n_tokens)
            self.served.append((one.request.id, n_tokens))
            if not one.pending:
                self.running.remove(one)
                self.finished.append(one.request.id)


@given(ARRIVALS, st.integers(1, 40))
def test_no_prompt_is_overtaken_forever(arrivals: Arrivals, slice: int) -> None:
    """A prompt that arrives after a waiting one's length has been computed is not served before that one's end."""
    driver = QueueDriver()
    clocks = []
    for number, (before, length) in enumerate(arrivals):
        for _ in range(before // slice):
            driver.serve(slice)
        clocks.append(sum(n_tokens for _, n_tokens in driver.served))
        driver.arrive(number, "one", [length])
    while len(driver.waiting) or driver.running:
        driver.serve(slice)
    for number, (_, length) in enumerate(arrivals):
        end = max(place for place, (request, _) in enumerate(driver.served) if request == number)
        late = {other for other, clock in enumerate(clocks) if other > number and clock >= clocks[number] + length}
        assert late.isdisjoint(request for request, _ in driver.served[:end])


@given(st.lists(st.integers(1, 60), min_size=30, max_size=30), st.lists(st.integers(1, 60), min_size=30, max_size=30))
def test_two_busy_flows_get_equal_shares(one: list[int], two: list[int]) -> None:
    """While both have prompts waiting, neither gets a prompt's length more than the other, whatever the sizes."""
    driver = QueueDriver()
    driver.arrive(0, "one", one)
    driver.arrive(1, "two", two)
    shares: Counter[int] = Counter()
    while {candidate.request.id for candidate in driver.waiting} == {0, 1}:
        driver.serve(10)
        shares = Counter()
        for request, n_tokens in driver.served:
            shares[request] += n_tokens
        assert abs(shares[0] - shares[1]) <= 60 + 10
    assert shares


def test_a_short_prompt_overtakes_a_started_long_one() -> None:
    """A short prompt is computed before the rest of a long one that arrived first."""
    driver = QueueDriver()
    driver.arrive(0, "one", [4000])
    driver.serve(100)
    driver.arrive(1, "one", [20])
    driver.serve(100)
    assert driver.finished == [1]


def test_a_pause_earns_no_extra_share() -> None:
    """A flow that was absent for long is not served alone until it has caught up."""
    driver = QueueDriver()
    driver.arrive(0, "busy", [50] * 40)
    for _ in range(20):
        driver.serve(50)
    driver.arrive(1, "back", [50] * 10)
    served = len(driver.served)
    for _ in range(8):
        driver.serve(50)
    requests = Counter(request for request, _ in driver.served[served:])
    assert requests[0] >= 3
    assert requests[1] >= 3


def test_removed_requests_are_gone() -> None:
    """Removing a request removes all of its waiting candidates."""
    waiting = WaitingQueue()
    requests = [ScheduledRequest(number, "one", "one", credit=1) for number in range(2)]
    for request in requests:
        request.add_candidate(0, [0] * 5)
        request.add_candidate(0, [0] * 5)
        waiting.add(request)
    waiting.remove_request(requests[0])
    assert [candidate.request.id for candidate in waiting] == [1, 1]
    assert len(waiting) == 2
