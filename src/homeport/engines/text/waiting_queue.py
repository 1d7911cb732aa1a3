"""Which prompt is computed next: fair shares among flows (projects), and within a flow the shortest first, with aging.

A flow's clock counts the prompt tokens computed for it. The flow with the lowest clock comes first; one that returns
from a pause gets no extra share (start-time fair queueing, Goyal et al. 1996). Within a flow, prompts are ordered by
due time: the flow's clock at arrival plus the prompt's length. So short prompts overtake a long one, but only those
that arrive before its own length has been computed. Each further prompt of a request is due one prompt later. Knows no
time.
"""

import heapq
from bisect import insort
from collections.abc import Hashable, Iterable, Iterator

from homeport.engines.text.scheduled_request import Candidate, ScheduledRequest


def _sort_key(candidate: Candidate) -> tuple[int, int]:
    return candidate.due - candidate.computed, candidate.arrival


class WaitingQueue:
    """Candidates without a slot, and the clocks that order their prompts and those of running candidates."""

    def __init__(self) -> None:
        self._flows: dict[Hashable, list[Candidate]] = {}
        self._clocks: dict[Hashable, int] = {}
        self._now = 0
        self._arrivals = 0

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._flows.values())

    def __iter__(self) -> Iterator[Candidate]:
        return (candidate for waiting in self._flows.values() for candidate in waiting)

    def add(self, request: ScheduledRequest) -> None:
        """Queue a new request's candidates."""
        if request.fair_share_key not in self._flows:
            self._clocks = {flow: clock for flow, clock in self._clocks.items() if clock > self._now}
            self._clocks.setdefault(request.fair_share_key, self._now)
        due, prompt = self._clocks.setdefault(request.fair_share_key, self._now), -1
        for candidate in request.candidates:
            if candidate.prompt != prompt:
                due, prompt = due + candidate.prompt_length, candidate.prompt
            self._arrivals += 1
            candidate.arrival, candidate.due = self._arrivals, due
            self.requeue(candidate)

    def requeue(self, candidate: Candidate) -> None:
        """Queue a preempted candidate at its former place."""
        candidate.is_waiting = True
        insort(self._flows.setdefault(candidate.request.fair_share_key, []), candidate, key=_sort_key)

    def remove(self, candidate: Candidate) -> None:
        """Remove a candidate because it starts."""
        candidate.is_waiting = False
        waiting = self._flows[candidate.request.fair_share_key]
        waiting.remove(candidate)
        if not waiting:
            del self._flows[candidate.request.fair_share_key]

    def remove_request(self, request: ScheduledRequest) -> None:
        """Remove a request's candidates because it ends."""
        for candidate in request.candidates:
            if candidate.is_waiting:
                self.remove(candidate)

    def charge(self, flow: Hashable, n_tokens: int) -> None:
        """Advance a flow's clock by the prompt tokens computed for it."""
        clock = self._clocks.get(flow, self._now)
        self._now = max(self._now, clock)
        self._clocks[flow] = clock + n_tokens

    def in_order(self, running: Iterable[Candidate]) -> Iterator[Candidate]:
        """Iterate over waiting candidates and the given running ones, in the order of computing their prompts."""
        lists: dict[Hashable, list[Candidate]] = {flow: [] for flow in self._flows}
        for candidate in running:
            lists.setdefault(candidate.request.fair_share_key, []).append(candidate)
        heap = []
        for index, (flow, started) in enumerate(lists.items()):
            queue = heapq.merge(sorted(started, key=_sort_key), tuple(self._flows.get(flow, ())), key=_sort_key)
            heap.append((self._clocks.get(flow, self._now), index, queue))
        heapq.heapify(heap)
        while heap:
            clock, index, queue = heap[0]
            head = next(queue, None)
            if head is None:
                heapq.heappop(heap)
                continue
            heapq.heapreplace(heap, (clock + head.pending, index, queue))
            yield head
